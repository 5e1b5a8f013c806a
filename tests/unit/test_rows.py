"""Whether a changed row can change an answer: every verdict, and the edges between them."""

import pytest

from coherence.keys import Scalar
from coherence.rows import (
    AtLeast,
    Equals,
    Page,
    Row,
    RowChange,
    Scope,
    Start,
    Verdict,
    compare,
)


def at(second: float) -> str:
    """Return a time as Postgres writes it in JSON in UTC."""
    whole, fraction = divmod(round(second * 10), 10)
    return f"2025-01-01T12:00:{whole:02}{f'.{fraction}' if fraction else ''}+00:00"


SCOPE = Scope((Equals("status", "NEW"), AtLeast("score", 0.5)), descending="at")
FULL = Page(at(30), at(20), full=True)
SHORT = Page(at(30), at(20), full=False)
EMPTY = Page(None, None, full=False, empty=True)


def row(second: float = 25, status: Scalar = "NEW", score: Scalar = 0.5, **more: Scalar) -> Row:
    """Return a row that matches, unless it is told otherwise."""
    return {"at": at(second), "status": status, "score": score, **more}


OTHER = row(status="OLD")
"""A row that does not match, wherever it is."""

BEFORE, FIRST, ON, LAST, AFTER = (row(second) for second in (31, 30, 25, 20, 19))


@pytest.mark.parametrize(
    ("old", "new", "page", "verdict"),
    [
        # Rows that come to a full page, or go.
        (None, BEFORE, FULL, Verdict.SHIFTS),
        (BEFORE, None, FULL, Verdict.SHIFTS),
        (OTHER, BEFORE, FULL, Verdict.SHIFTS),
        (BEFORE, OTHER, FULL, Verdict.SHIFTS),
        (None, ON, FULL, Verdict.ON_PAGE),
        (ON, None, FULL, Verdict.ON_PAGE),
        (None, AFTER, FULL, Verdict.BEYOND),
        (AFTER, None, FULL, Verdict.BEYOND),
        (OTHER, AFTER, FULL, Verdict.BEYOND),
        # Ties with an edge may lie on either side of it.
        (None, FIRST, FULL, Verdict.ON_PAGE),
        (FIRST, None, FULL, Verdict.ON_PAGE),
        (None, LAST, FULL, Verdict.ON_PAGE),
        (LAST, None, FULL, Verdict.ON_PAGE),
        (FIRST, FIRST, FULL, Verdict.ON_PAGE),
        (LAST, LAST, FULL, Verdict.ON_PAGE),
        (row(30.1), row(30.1), FULL, Verdict.OFF_PAGE),
        (row(19.9), row(19.9), FULL, Verdict.BEYOND),
        # Rows that stay in the list.
        (BEFORE, BEFORE, FULL, Verdict.OFF_PAGE),
        (BEFORE, row(59), FULL, Verdict.OFF_PAGE),
        (AFTER, AFTER, FULL, Verdict.BEYOND),
        (AFTER, row(1), FULL, Verdict.BEYOND),
        (ON, row(26), FULL, Verdict.ON_PAGE),
        # Moves from one side to another.
        (BEFORE, AFTER, FULL, Verdict.SHIFTS),
        (AFTER, BEFORE, FULL, Verdict.SHIFTS),
        (BEFORE, ON, FULL, Verdict.ON_PAGE),
        (ON, AFTER, FULL, Verdict.ON_PAGE),
        (AFTER, LAST, FULL, Verdict.ON_PAGE),
        (FIRST, BEFORE, FULL, Verdict.ON_PAGE),
        # A page with room ends where the list does.
        (None, AFTER, SHORT, Verdict.NOT_FULL),
        (AFTER, None, SHORT, Verdict.NOT_FULL),
        (AFTER, AFTER, SHORT, Verdict.NOT_FULL),
        (None, BEFORE, SHORT, Verdict.SHIFTS),
        (BEFORE, None, SHORT, Verdict.SHIFTS),
        (BEFORE, BEFORE, SHORT, Verdict.OFF_PAGE),
        (LAST, LAST, SHORT, Verdict.ON_PAGE),
        # An empty page lies somewhere past the end of the list.
        (None, AFTER, EMPTY, Verdict.NOT_FULL),
        (OTHER, BEFORE, EMPTY, Verdict.NOT_FULL),
        (BEFORE, None, EMPTY, Verdict.STILL_EMPTY),
        (AFTER, OTHER, EMPTY, Verdict.STILL_EMPTY),
        (ON, BEFORE, EMPTY, Verdict.STILL_EMPTY),
        (OTHER, OTHER, EMPTY, Verdict.NO_MATCH),
        # Nothing is known of the page: a load is under way.
        (None, AFTER, None, Verdict.UNKNOWN),
        (BEFORE, BEFORE, None, Verdict.UNKNOWN),
        (OTHER, None, None, Verdict.NO_MATCH),
        # Rows that are not in the list.
        (None, OTHER, FULL, Verdict.NO_MATCH),
        (OTHER, None, SHORT, Verdict.NO_MATCH),
        (OTHER, row(score=0.4999), FULL, Verdict.NO_MATCH),
        (None, row(score=0.49999999999999994), FULL, Verdict.NO_MATCH),
        (None, None, FULL, Verdict.NO_MATCH),
    ],
)
def test_a_page_is_judged_by_where_a_row_was_and_is(
    old: Row | None, new: Row | None, page: Page | None, verdict: Verdict
) -> None:
    """Old and new row count, each if it matches, at its place in the order."""
    assert SCOPE.judge(RowChange(old, new), page) is verdict


@pytest.mark.parametrize(
    "unknown",
    [
        row(status=None),
        row(score=None),
        row(score="NaN"),
        row(score="0.9"),
        row(status=7),
        {"at": at(25), "score": 0.5},
        {"at": at(25), "status": "NEW"},
        {},
    ],
)
@pytest.mark.parametrize("page", [FULL, SHORT, EMPTY, None])
def test_what_may_match_affects(unknown: Row, page: Page | None) -> None:
    """A value that is NULL, missing or of another kind: whether the row matches cannot be told, now or before."""
    assert SCOPE.judge(RowChange(None, unknown), page) is Verdict.UNKNOWN
    assert SCOPE.judge(RowChange(unknown, None), page) is Verdict.UNKNOWN
    assert SCOPE.judge(RowChange(OTHER, unknown), page) is Verdict.UNKNOWN
    assert SCOPE.judge(RowChange(unknown, AFTER), page) is Verdict.UNKNOWN


def test_one_condition_that_fails_is_enough() -> None:
    """What is not known of the others does not matter then."""
    for one in (row(status="OLD", score=None), {"status": "OLD"}, {"score": 0.1}, row(status=None, score=0.1)):
        assert SCOPE.judge(RowChange(None, one), FULL) is Verdict.NO_MATCH


PLACES = [
    None,
    7,
    "infinity",
    "-infinity",
    "",
    "now",
    "2025-01-01T12:00:25",
    "2025-01-01T12:00:25Z",
    "2025-01-01T12:00:25+01:00",
    "2025-01-01 12:00:25+00:00",
    "0044-03-15T12:00:00+00:00 BC",
    "12025-01-01T12:00:25+00:00",
    "2025-01-01T12:00:25+00:00\n",
    "٢٠٢٥-01-01T12:00:25+00:00",
]


@pytest.mark.parametrize("place", PLACES)
def test_what_has_no_place_affects(place: Scalar) -> None:
    """A sort value that is NULL, infinite, before Christ or not in our one form: nobody knows where it lies."""
    lost: Row = {**row(), "at": place}
    for old, new in ((None, lost), (lost, None), (lost, BEFORE), (AFTER, lost), (lost, lost)):
        assert SCOPE.judge(RowChange(old, new), FULL) is Verdict.UNKNOWN
        assert SCOPE.judge(RowChange(old, new), SHORT).affects
    for page in (Page(place, at(20), full=True), Page(at(30), place, full=True), Page(place, place, full=False)):
        for one in (BEFORE, ON, AFTER):
            assert SCOPE.judge(RowChange(one, one), page) is Verdict.UNKNOWN


def test_a_missing_sort_column_affects() -> None:
    """The notifications may tell of fewer columns than the query is sorted by."""
    bare: Row = {"status": "NEW", "score": 1}
    assert SCOPE.judge(RowChange(bare, bare), FULL) is Verdict.UNKNOWN


def test_a_query_of_every_matching_row() -> None:
    """Without an order there is no place: what matches affects, on whatever page."""
    scope = Scope((Equals("id", "a"),))
    for page in (None, FULL):
        assert scope.judge(RowChange({"id": "a"}, None), page) is Verdict.ROW
        assert scope.judge(RowChange({"id": "a"}, {"id": "b"}), page) is Verdict.ROW
        assert scope.judge(RowChange({"id": "b"}, {"id": "a"}), page) is Verdict.ROW
        assert scope.judge(RowChange({"id": "b"}, {"id": "c"}), page) is Verdict.NO_MATCH
        assert scope.judge(RowChange({"id": "b"}, {}), page) is Verdict.UNKNOWN


def test_a_query_without_conditions() -> None:
    """Every row matches, also one that nothing is known of."""
    scope = Scope((), descending="at")
    assert scope.judge(RowChange(None, OTHER), FULL) is Verdict.ON_PAGE
    assert scope.judge(RowChange(None, {}), FULL) is Verdict.UNKNOWN
    assert scope.judge(RowChange(None, {}), EMPTY) is Verdict.NOT_FULL


BEHIND = Scope(SCOPE.conditions, descending="at", start=Start(at(33)))
"""A page that begins behind a place which lies before its first row."""
AHEAD, LEVEL, GAP = (row(second) for second in (34, 33, 32))


@pytest.mark.parametrize(
    ("old", "new", "page", "verdict"),
    [
        # What lies before the place does not shift the page.
        (None, AHEAD, FULL, Verdict.AHEAD),
        (AHEAD, None, SHORT, Verdict.AHEAD),
        (AHEAD, AHEAD, EMPTY, Verdict.AHEAD),
        (OTHER, AHEAD, FULL, Verdict.AHEAD),
        # Between it and the first row is room; level with it may be either side.
        (None, GAP, FULL, Verdict.ON_PAGE),
        (AHEAD, GAP, FULL, Verdict.ON_PAGE),
        (None, LEVEL, FULL, Verdict.ON_PAGE),
        (LEVEL, None, FULL, Verdict.ON_PAGE),
        (LEVEL, AHEAD, FULL, Verdict.ON_PAGE),
        # The rest is as on any page.
        (None, ON, FULL, Verdict.ON_PAGE),
        (None, LAST, FULL, Verdict.ON_PAGE),
        (None, AFTER, FULL, Verdict.BEYOND),
        (AHEAD, AFTER, FULL, Verdict.BEYOND),
        (AHEAD, AFTER, SHORT, Verdict.NOT_FULL),
        (OTHER, OTHER, FULL, Verdict.NO_MATCH),
        # An empty page gets rows from before the place, too.
        (None, AFTER, EMPTY, Verdict.NOT_FULL),
        (AHEAD, AFTER, EMPTY, Verdict.NOT_FULL),
        (LEVEL, AHEAD, EMPTY, Verdict.STILL_EMPTY),
        (None, LEVEL, EMPTY, Verdict.NOT_FULL),
        (None, {"status": "NEW", "score": 0.5}, FULL, Verdict.UNKNOWN),
        (None, ON, None, Verdict.UNKNOWN),
    ],
)
def test_a_page_behind_a_place(old: Row | None, new: Row | None, page: Page | None, verdict: Verdict) -> None:
    """Only what lies behind the place can change it."""
    assert BEHIND.judge(RowChange(old, new), page) is verdict


def test_a_place_without_an_order_tells_nothing() -> None:
    """NULL, for example."""
    scope = Scope((), descending="at", start=Start(None))
    assert scope.judge(RowChange(None, ON), FULL) is Verdict.UNKNOWN


def test_which_verdicts_affect() -> None:
    """All but those that are certain."""
    spared = {verdict for verdict in Verdict if not verdict.affects}
    assert spared == {Verdict.NO_MATCH, Verdict.OFF_PAGE, Verdict.BEYOND, Verdict.AHEAD, Verdict.STILL_EMPTY}


@pytest.mark.parametrize(
    ("condition", "value", "matches"),
    [
        (Equals("c", "e\u0301"), "\u00e9", False),
        (Equals("c", "a"), "a ", False),
        (Equals("c", "a"), "A", False),
        (Equals("c", "1"), 1, None),
        (Equals("c", 1), "1", None),
        (Equals("c", 1), 1.0, True),
        (Equals("c", 2**53 + 1), 2**53 + 1, True),
        (Equals("c", 2**53 + 1), 2**53, False),
        (Equals("c", "null"), None, None),
        (AtLeast("c", 0.3), 0.1 + 0.2, True),
        (AtLeast("c", 0.1 + 0.2), 0.3, False),
        (AtLeast("c", 0.0), -0.0, True),
        (AtLeast("c", 0.0), -5e-324, False),
        (AtLeast("c", 1), 1.0, True),
        (AtLeast("c", 1.0), 1, True),
        (AtLeast("c", 0.5), 10**400, True),
        (AtLeast("c", 0.5), float("inf"), True),
        (AtLeast("c", 0.5), "Infinity", None),
        (AtLeast("c", 0.5), None, None),
    ],
)
def test_a_condition(condition: Equals | AtLeast, value: Scalar, matches: bool | None) -> None:
    """It holds, it does not hold, or that cannot be told."""
    assert condition.matches({"c": value}) is matches
    assert condition.matches({}) is None


def test_fractions_of_seconds_sort_as_time_does() -> None:
    """Postgres writes as many digits as it needs."""
    ascending = ["12:00:00", "12:00:00.000001", "12:00:00.49", "12:00:00.5", "12:00:00.500001", "12:00:01", "12:00:10"]
    times = [f"2025-01-01T{time}+00:00" for time in ascending]
    times = ["0001-01-01T00:00:00+00:00", "0999-12-31T23:59:59.9+00:00", *times, "9999-12-31T23:59:59.999999+00:00"]
    for index, one in enumerate(times):
        for other_index, other in enumerate(times):
            assert compare(one, other) == (index > other_index) - (index < other_index)


def test_numbers_compare_with_numbers_alone() -> None:
    """Whole ones and others, large ones too; text has an order of its own."""
    assert compare(1, 1.0) == 0
    assert compare(2**53 + 1, float(2**53)) == 1
    assert compare(1, "1") is None
    assert compare("1", "1") is None
    assert compare(None, None) is None
