"""Changed rows, and which answers they can change. Sans-IO, and the one place that decides.

The decision errs on one side only: what is unknown, missing, NULL or not comparable counts as affected.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Self

from coherence.keys import Scalar

Row = Mapping[str, Scalar]
"""Some columns of a row. A timestamp is text, as Postgres writes it in JSON in the time zone UTC."""

_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00", re.ASCII)


class Verdict(Enum):
    """Whether a changed row can change an answer, and why."""

    NO_MATCH = "neither the old row nor the new one matches the query"
    OFF_PAGE = "the row stays in its place, on another page"
    BEYOND = "the row lies after the end of the page"
    AHEAD = "the row lies before the place that the page begins behind"
    STILL_EMPTY = "the page shows no row, and none has come"
    UNKNOWN = "it cannot be told"
    ROW = "the row that was asked for"
    NOT_FULL = "the page has room for it"
    ON_PAGE = "the row lies on the page"
    SHIFTS = "the row comes or goes before the end of the page"

    @property
    def affects(self) -> bool:
        """Whether the answer is not to be served any more."""
        return self not in _SPARED


_SPARED = frozenset({Verdict.NO_MATCH, Verdict.OFF_PAGE, Verdict.BEYOND, Verdict.AHEAD, Verdict.STILL_EMPTY})


@dataclass(frozen=True, slots=True)
class RowChange:
    """One row before and after a statement; None where there was, or is, none."""

    old: Row | None
    new: Row | None


@dataclass(frozen=True, slots=True)
class Equals:
    """`column = value`, of whole numbers, or of text in a collation in which equal means the same bytes."""

    column: str
    value: Scalar

    def matches(self, row: Row) -> bool | None:
        """Tell whether a row matches; None where that cannot be told."""
        value = row.get(self.column)
        if value is None or isinstance(value, str) is not isinstance(self.value, str):
            return None
        return value == self.value


@dataclass(frozen=True, slots=True)
class AtLeast:
    """`column >= value`, of numbers that are doubles or small integers in Postgres."""

    column: str
    value: float

    def matches(self, row: Row) -> bool | None:
        """Tell whether a row matches; None where that cannot be told."""
        value = row.get(self.column)
        return value >= self.value if isinstance(value, (int, float)) else None


@dataclass(frozen=True, slots=True)
class Page:
    """The place of a page in its list: the sort values of its first and last row, and whether it is full.

    An `empty` one lies past the end of the list; it has no place but that.
    """

    first: Scalar
    last: Scalar
    full: bool
    empty: bool = False

    def as_wire(self) -> list[Scalar]:
        """Return the JSON-ready form."""
        return [] if self.empty else [self.first, self.last, self.full]

    @classmethod
    def from_wire(cls, wire: object) -> Self | None:
        """Parse the JSON-ready form; None for anything else, which is judged like a page of which nothing is known."""
        match wire:
            case []:
                return cls(None, None, full=False, empty=True)
            case [str() | int() | float() as first, str() | int() | float() as last, bool() as full]:
                return cls(first, last, full)
        return None


@dataclass(frozen=True, slots=True)
class Start:
    """The place that a page begins behind, by its sort value; rows level with it lie on either side."""

    value: Scalar


@dataclass(frozen=True, slots=True)
class Scope:
    """Which rows a query shows: those that match all `conditions`, and of these, sorted by `descending`, a page.

    `descending` is None for a query that shows every matching row; `start` is None for a page that begins at an offset.
    """

    conditions: Sequence[Equals | AtLeast]
    descending: str | None = None
    start: Start | None = None

    def judge(self, change: RowChange, page: Page | None) -> Verdict:
        """Tell whether `change` can change an answer whose place is `page` (None: unknown)."""
        old, new = self._matches(change.old), self._matches(change.new)
        if old is None or new is None:
            return Verdict.UNKNOWN
        matching = [row for row, shown in ((change.old, old), (change.new, new)) if row is not None and shown]
        if not matching:
            return Verdict.NO_MATCH
        if self.descending is None:
            return Verdict.ROW
        if page is None:
            return Verdict.UNKNOWN
        if self.start is not None:
            return self._judge_behind(self.start, matching, change.new if new else None, page)
        return self._judge_places(matching, page, comes=new and not old)

    def _judge_behind(self, start: Start, matching: Sequence[Row], comes: Row | None, page: Page) -> Verdict:
        """Judge a row for a page that begins behind a place: what lies before that, now or then, is not on it."""
        ahead = [compare(row.get(self.descending or ""), start.value) for row in matching]
        if None in ahead:
            return Verdict.UNKNOWN
        behind = [row for row, place in zip(matching, ahead, strict=True) if place is not None and place <= 0]
        if not behind:
            return Verdict.AHEAD
        page = replace(page, first=start.value)
        return self._judge_places(behind, page, comes=any(row is comes for row in behind))

    def _judge_places(self, matching: Sequence[Row], page: Page, *, comes: bool) -> Verdict:
        """Judge a row by where it was and is in the list, of which it may have been, or be, in one state only."""
        if page.empty:
            return Verdict.NOT_FULL if comes else Verdict.STILL_EMPTY
        places = {self._place(row, page) for row in matching}
        if None in places:
            return Verdict.UNKNOWN
        if _ON in places:
            return Verdict.ON_PAGE
        if places == {_AFTER}:
            return Verdict.BEYOND if page.full else Verdict.NOT_FULL
        stays = len(matching) == _BOTH and places == {_BEFORE}
        return Verdict.OFF_PAGE if stays else Verdict.SHIFTS

    def _matches(self, row: Row | None) -> bool | None:
        if row is None:
            return False
        unknown = False
        for condition in self.conditions:
            match condition.matches(row):
                case False:
                    return False
                case None:
                    unknown = True
        return None if unknown else True

    def _place(self, row: Row, page: Page) -> int | None:
        value = row.get(self.descending or "")
        first, last = compare(value, page.first), compare(value, page.last)
        if first is None or last is None:
            return None
        # Ties are broken by other columns: a row that is level with an edge of the page counts as on it.
        if first > 0:
            return _BEFORE
        return _AFTER if last < 0 else _ON


_BEFORE, _ON, _AFTER = -1, 0, 1
_BOTH = 2


def compare(one: Scalar, other: Scalar) -> int | None:
    """Return a number below, at or above 0 as `one` sorts before, with or after `other`; None if that is not known."""
    if isinstance(one, str) and isinstance(other, str):
        # Only this form sorts as text in the order of time; other text sorts by a collation that is not known here.
        if not _UTC.fullmatch(one) or not _UTC.fullmatch(other):
            return None
        return (one > other) - (one < other)
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        return (one > other) - (one < other)
    return None


def columns_of(changes: Sequence[RowChange]) -> tuple[str, ...]:
    """Return the columns that changed rows tell of; they all tell of the same."""
    return tuple(column for change in changes[:1] for column in (change.old or change.new or ()))


def rows_as_wire(changes: Sequence[RowChange]) -> list[object]:
    """Return the JSON-ready form of rows with the same columns: these, then of each row the old and new values."""
    columns = columns_of(changes)

    def values(row: Row | None) -> list[Scalar] | None:
        return None if row is None else [row.get(column) for column in columns]

    return [list(columns), [[values(change.old), values(change.new)] for change in changes]]


def rows_from_wire(wire: Sequence[object]) -> tuple[RowChange, ...] | None:
    """Parse the JSON-ready form; None for anything else, which stands for "not known one by one"."""
    match wire:
        case [list() as columns, list() as changes] if all(isinstance(column, str) for column in columns):
            parsed = [_change_from_wire(columns, change) for change in changes]
            known = tuple(change for change in parsed if change is not None)
            return known if known and len(known) == len(parsed) else None
    return None


def _change_from_wire(columns: Sequence[str], wire: object) -> RowChange | None:
    match wire:
        case [list() as old, list() as new] if len(old) == len(new) == len(columns):
            return RowChange(_row(columns, old), _row(columns, new))
        case [None, list() as new] if len(new) == len(columns):
            return RowChange(None, _row(columns, new))
        case [list() as old, None] if len(old) == len(columns):
            return RowChange(_row(columns, old), None)
    return None


def _row(columns: Sequence[str], values: Sequence[object]) -> Row:
    return dict(zip(columns, map(_scalar, values), strict=True))


def _scalar(value: object) -> Scalar:
    """Return a value that can be compared; None for any other, an array for example, as if nothing were known of it."""
    return value if isinstance(value, (str, int, float)) and value == value else None  # noqa: PLR0124 - NaN is not
