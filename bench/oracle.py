"""Which answers were right when: a replay of all that was written, and the verdict on all that was read.

There is one writer, so the database went through one known sequence of states. An answer is right if, at some moment
between `bound` seconds before its request was sent and its arrival, the database may have been in a state that has
exactly this page: the same rows, in the same versions, in the same order.
"""

import json
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from bench.reading import Read, Reads
from bench.workload import Asked, Row
from bench.writing import Written

Page = tuple[str, ...]
"""The rows of a page, each by its key and version."""

Place = tuple[int, str]
"""Where a row stands in every list: the newest first, then by key."""


@dataclass(frozen=True, slots=True)
class Period:
    """The states, by number, in which a query had one page: from `first` up to, not including, `end`."""

    first: int
    end: int


@dataclass(slots=True)
class Judgement:
    """What the oracle found: how many answers of `checked` were wrong, and why.

    `stale` answers showed a state older than the bound allows, `impossible` ones a page that never was or not yet.
    `oldest` is by how many seconds, at most, an answer's state was outdated when its request was sent: 0 for none.
    """

    checked: int = 0
    stale: int = 0
    impossible: int = 0
    outdated: int = 0
    oldest: float = 0.0


@dataclass(slots=True)
class _List:
    """The rows that match a filter, in order, and the queries that show pages of it."""

    asked: Asked
    places: list[Place] = field(default_factory=list)
    queries: list[int] = field(default_factory=list)


class Oracle:
    """Replays `written` on `rows`, for `queries`."""

    def __init__(self, rows: Sequence[Row], queries: Sequence[Asked], written: Sequence[Written]) -> None:
        self._queries = queries
        self._written = written
        self._rows = {_place(row): row for row in rows}
        self._lists = self._make_lists()
        self._list_of = {number: each for each in self._lists for number in each.queries}
        self.periods: list[dict[Page, list[Period]]] = [defaultdict(list) for _ in queries]
        """By query, when it had which page."""
        self._current = [(self._page(number), 0) for number in range(len(queries))]
        self._replay()

    def judge(self, reads: Reads, bound: float) -> Judgement:
        """Judge every read."""
        judgement = Judgement()
        pages: dict[int, Page] = {}
        for read in reads.done:
            if read.body not in pages:
                pages[read.body] = page_of(reads.bodies[read.body])
            self._judge(judgement, self.periods[read.query].get(pages[read.body], []), read, bound)
        return judgement

    def _judge(self, judgement: Judgement, periods: Sequence[Period], read: Read, bound: float) -> None:
        judgement.checked += 1
        # A state began, at the earliest, when its commit was sent; it was over, at the latest, when the next returned.
        begun = [each for each in periods if each.first == 0 or self._written[each.first - 1].begun <= read.ended]
        if not begun:
            judgement.impossible += 1
            return
        last = max(each.end for each in begun)
        age = read.sent - self._written[last - 1].returned if last <= len(self._written) else 0.0
        if age > 0:
            judgement.outdated += 1
            judgement.oldest = max(judgement.oldest, age)
        judgement.stale += age > bound

    # -- the replay

    def _make_lists(self) -> list[_List]:
        lists: dict[Asked, _List] = {}
        for number, asked in enumerate(self._queries):
            whole = replace(asked, offset=0)
            lists.setdefault(whole, _List(whole)).queries.append(number)
        for each in lists.values():
            each.places = sorted(place for place, row in self._rows.items() if each.asked.shows(row))
        return list(lists.values())

    def _replay(self) -> None:
        for state, written in enumerate(self._written, start=1):
            place = _place(written.row)
            old = self._rows.get(place)
            self._rows[place] = written.row
            for each in self._lists:
                before = old is not None and each.asked.shows(old)
                after = each.asked.shows(written.row)
                if before or after:
                    self._change(each, place, before, after, state)
        for number, (page, first) in enumerate(self._current):
            self.periods[number][page].append(Period(first, len(self._written) + 1))

    def _change(self, changed: _List, place: Place, before: bool, after: bool, state: int) -> None:
        position = bisect_left(changed.places, place)
        if before and not after:
            del changed.places[position]
        elif after and not before:
            insort(changed.places, place)
        for number in changed.queries:
            asked = self._queries[number]
            if position >= asked.offset + asked.limit or (before and after and position < asked.offset):
                continue
            page, first = self._current[number]
            new = self._page(number)
            if new != page:
                self.periods[number][page].append(Period(first, state))
                self._current[number] = new, state

    def _page(self, number: int) -> Page:
        asked = self._queries[number]
        places = self._list_of[number].places[asked.offset : asked.offset + asked.limit]
        return tuple(_mark(row.transaction_id, row.version) for row in map(self._rows.__getitem__, places))


def page_of(body: bytes) -> Page:
    """Return the page that an answer shows."""
    return tuple(_mark(row["transaction_id"], row["updated_at"]) for row in json.loads(body)["anomalies"])


def _mark(key: str, version: str) -> str:
    return f"{key} {version}"


def _place(row: Row) -> Place:
    return -round(datetime.fromisoformat(row.detected_at).timestamp() * 1_000_000), row.transaction_id
