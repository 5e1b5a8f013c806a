"""Ways to weaken the judgement of changed rows, for a test to catch."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from coherence import changes
from coherence.batch import Batch
from coherence.changes import Change
from coherence.entry import Entry
from coherence.history import History
from coherence.keys import Scalar
from coherence.loading import Content, Loading
from coherence.rows import AtLeast, Equals, Page, Row, RowChange, Scope, Verdict
from coherence.view import View
from listener import payload
from service.questions import Listing

Patch = pytest.MonkeyPatch
Weakening = Callable[[Patch], None]
"""Weakens the build for as long as a patch lasts."""
Judge = Callable[[Scope, RowChange, Page | None], Verdict]

LONG_AGO = "0001-01-01T00:00:00+00:00"
NOBODY = (RowChange({"transaction_id": "", "account_id": "", "detected_at": LONG_AGO, "occurred_at": LONG_AGO}, None),)
"""A row that no page shows."""


def judging(weaken: Callable[[Judge, Scope, RowChange, Page | None], Verdict]) -> Weakening:
    """Return a patch of the judgement on a changed row."""
    judge = Scope.judge
    return lambda patch: patch.setattr(Scope, "judge", lambda *args: weaken(judge, *args))


def judging_behind(weaken: Callable[[Judge, Scope, RowChange, Page | None], Verdict]) -> Weakening:
    """Return a patch of the judgement for pages that begin behind a cursor."""
    return judging(lambda judge, scope, *args: (judge if scope.start is None else partial(weaken, judge))(scope, *args))


def without_start(scope: Scope) -> Scope:
    """Return the scope of a page that begins with its first row."""
    return Scope(scope.conditions, descending=scope.descending)


def without_level(scope: Scope, change: RowChange) -> RowChange:
    """Return a change without the rows that are level with the cursor."""

    def unless(row: Row | None) -> Row | None:
        level = row is not None and scope.start is not None and row.get(scope.descending or "") == scope.start.value
        return None if level else row

    return RowChange(unless(change.old), unless(change.new))


def taken_for(verdict: Verdict, taken: Verdict) -> Weakening:
    """Return a patch that mistakes one verdict for another."""
    return judging(lambda judge, *args: taken if (found := judge(*args)) is verdict else found)


def placing(weaken: Callable[[int | None, Scalar, Page], int | None]) -> Weakening:
    """Return a patch of where a row lies: before (-1), on (0) or after (1) the page."""
    place = Scope._place

    def weakened(scope: Scope, row: Row, page: Page) -> int | None:
        return weaken(place(scope, row, page), row.get(scope.descending or ""), page)

    return lambda patch: patch.setattr(Scope, "_place", weakened)


def matching(kind: type[Equals] | type[AtLeast], weaken: Callable[[bool | None, Any, Any], bool | None]) -> Weakening:
    """Return a patch of whether a row matches a condition, given the row's value and the condition's."""
    matches = kind.matches

    def weakened(condition: Any, row: Row) -> bool | None:
        return weaken(matches(condition, row), row.get(condition.column), condition.value)

    return lambda patch: patch.setattr(kind, "matches", weakened)


def matching_nothing(which: Callable[[Any], bool]) -> Weakening:
    """Return a patch by which such values of a row match no condition, where that could not be told."""

    def apply(patch: Patch) -> None:
        for kind in (Equals, AtLeast):
            matching(kind, lambda found, value, _: False if found is None and which(value) else found)(patch)

    return apply


def last_row_but_one(patch: Patch) -> None:
    """The page ends with the row before its last."""
    content = Listing.content

    def weakened(listing: Listing, query: Any, rows: Sequence[Any]) -> Content:
        made = content(listing, query, rows)
        shown = json.loads(made.body)[listing.namespace]
        if made.page is None or len(shown) < 2:
            return made
        return replace(made, page=replace(made.page, last=shown[-2][listing.table.newest_by]))

    patch.setattr(Listing, "content", weakened)


def reading(weaken: Callable[[dict[str, Any], Any], Any]) -> Weakening:
    """Return a patch of which rows a notification is taken to tell of."""
    rows = payload._rows
    return lambda patch: patch.setattr(payload, "_rows", lambda document: weaken(document, rows(document)))


def most_rows_of_a_bump(patch: Patch) -> None:
    """A bump of too many rows tells of the first of them."""
    summing = changes._sum

    def weakened(group: list[Change]) -> Change:
        rows = tuple(row for change in group for row in change.rows or ())
        summed = summing(group)
        return replace(summed, rows=rows[:3]) if summed.overflow == "bump" else summed

    patch.setattr(changes, "MOST_ROWS_PER_BUMP", 3)
    patch.setattr(changes, "_sum", weakened)


def forgetting(patch: Patch) -> None:
    """What is forgotten never happened."""
    forget = History._forget

    def weakened(history: History) -> None:
        kept = history._namespaces[history._order[0]]
        wholesale = kept.wholesale
        forget(history)
        kept.wholesale = wholesale

    patch.setattr(History, "_forget", weakened)


def batch_values(of: Callable[[RowChange], Sequence[Row | None]]) -> Weakening:
    """Return a patch of which rows a batch is summed up by."""

    def weakened(batch: Batch, column: str) -> Iterator[Scalar]:
        return (row.get(column) for _, change in batch.rows for row in of(change) if row is not None)

    return lambda patch: patch.setattr(Batch, "_values", weakened)


def stamp_after_load(patch: Patch) -> None:
    """An answer is stamped with the generation at the end of its load."""
    load = Loading.load

    async def weakened(loading: Loading, *args: Any) -> Entry:
        return replace(await load(loading, *args), stamp=loading._view.generation)

    patch.setattr(Loading, "load", weakened)


def judged_since(since: Callable[[Loading, Entry, int], int]) -> Weakening:
    """Return a patch of the generation since which an entry has to be judged."""
    judge = Loading._judge
    return lambda patch: patch.setattr(
        Loading, "_judge", lambda loading, entry, judged: judge(loading, entry, since(loading, entry, judged))
    )


def remembered_as_spared(patch: Patch) -> None:
    """An entry that a change affects counts as judged after that."""
    spared = Loading.spares

    def weakened(loading: Loading, kept: Any) -> bool:
        verdict = spared(loading, kept)
        kept.judged = loading._view.generation
        return verdict

    patch.setattr(Loading, "spares", weakened)


def joined_whatever_changed(patch: Patch) -> None:
    """A request joins any load of its query."""
    unaffected = View.unaffected
    patch.setattr(
        View,
        "unaffected",
        lambda view, query, stamp, page=None: page is None or unaffected(view, query, stamp, page),
    )
