"""Changed rows on their way: in a notification, in a listener's sum of them, in a bump's message, in an entry."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coherence.changes import MOST_ROWS_PER_BUMP, Bump, Change, merge
from coherence.entry import Entry, _checksum, etag_of
from coherence.query import Query
from coherence.rows import Page, RowChange
from listener.ledger import Ledger
from listener.payload import OVERFLOWS, parse

SPACE = "anomalies"


def came(*ids: int) -> tuple[RowChange, ...]:
    """Return the changes of rows that came."""
    return tuple(RowChange(None, {"id": key, "status": "NEW"}) for key in ids)


def told(**fields: object) -> str:
    """Return a notification of two changed rows, with some fields replaced."""
    rows = [[[1, "OLD"], [1, "NEW"]], [None, [2, "NEW"]]]
    return json.dumps({"ns": SPACE, "op": "update", "columns": ["id", "status"], "rows": rows, **fields})


# -- notifications


def test_a_notification_tells_rows() -> None:
    """Each as it was and as it is, by column."""
    change = parse(told())
    assert change == Change(
        SPACE, "update", 1, (RowChange({"id": 1, "status": "OLD"}, {"id": 1, "status": "NEW"}), *came(2))
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"rows": None},
        {"rows": []},
        {"rows": {}},
        {"rows": [[None, None]]},
        {"rows": [[[1, "NEW"], [1, "NEW"]], [[1], None]]},
        {"rows": [[[1, "NEW"]]]},
        {"rows": "all"},
        {"columns": None},
        {"columns": []},
        {"columns": ["id"]},
        {"columns": ["id", 7]},
        {"columns": "id,status"},
    ],
)
def test_rows_that_cannot_be_read_are_the_whole_namespace(fields: dict[str, Any]) -> None:
    """Something changed, and nobody knows what."""
    assert parse(told(**fields)) == Change(SPACE, "update")


@pytest.mark.parametrize("overflow", sorted(OVERFLOWS))
def test_an_overflow_is_the_whole_namespace(overflow: str) -> None:
    """And it is known why."""
    assert parse(json.dumps({"ns": SPACE, "op": "update", "overflow": overflow})) == Change(
        SPACE, "update", overflow=overflow
    )


@pytest.mark.parametrize("overflow", ["other", 7, None, ["rows"]])
def test_an_overflow_of_another_kind_is_the_whole_namespace(overflow: object) -> None:
    """A name that is not known is not let into metrics."""
    assert parse(json.dumps({"ns": SPACE, "op": "update", "overflow": overflow})) == Change(SPACE, "update")


def test_rows_of_no_namespace_are_everything() -> None:
    """What changed is not known by its rows then."""
    assert parse(told(ns=None)) == Change(None, "update")


# -- sums


def test_rows_of_one_kind_are_summed_up_in_order() -> None:
    """Those of other namespaces, causes and columns stay apart."""
    other = (RowChange(None, {"key": 1}),)
    summed = merge(
        [
            Change(SPACE, "insert", 1, came(1)),
            Change(SPACE, "update", 1, came(2)),
            Change(SPACE, "insert", 2, came(3, 4)),
            Change("transactions", "insert", 1, came(5)),
            Change(SPACE, "insert", 1, other),
            Change(SPACE, "insert", 1, None, "rows"),
        ]
    )
    assert summed == (
        Change(SPACE, "insert", 3, came(1, 3, 4)),
        Change(SPACE, "update", 1, came(2)),
        Change("transactions", "insert", 1, came(5)),
        Change(SPACE, "insert", 1, other),
        Change(SPACE, "insert", 1, None, "rows"),
    )


@pytest.mark.parametrize("parts", [1, 2, 7])
def test_too_many_rows_are_the_whole_namespace(parts: int) -> None:
    """However they come, and whatever is added to them."""
    each = MOST_ROWS_PER_BUMP // parts
    many = [Change(SPACE, "insert", 1, came(*range(each))) for _ in range(parts)]
    (summed,) = merge(many)
    assert summed.rows is not None
    assert len(summed.rows) == parts * each
    surplus = Change(SPACE, "insert", 1, came(*range(MOST_ROWS_PER_BUMP - parts * each + 1)))
    (summed,) = merge([*many, surplus])
    assert summed == Change(SPACE, "insert", parts + 1, None, "bump")
    assert [change.rows for change in merge([summed, surplus])] == [None, surplus.rows]


def test_one_notification_of_too_many_rows_is_the_whole_namespace() -> None:
    """Also where there is nothing to sum up."""
    assert merge([Change(SPACE, "insert", 1, came(*range(MOST_ROWS_PER_BUMP + 1)))]) == (
        Change(SPACE, "insert", 1, None, "bump"),
    )


changes = st.builds(
    Change,
    st.sampled_from([SPACE, "transactions", None]),
    st.sampled_from(["insert", "update"]),
    st.integers(0, 3),
    st.none() | st.lists(st.integers(0, 5), min_size=1, max_size=3).map(lambda ids: came(*ids)),
)


@given(st.lists(changes, max_size=8), st.lists(changes, max_size=8))
def test_no_change_is_lost_in_a_sum(first: list[Change], second: list[Change]) -> None:
    """Neither a row, nor a change of more than rows, nor a notification; and it does not matter how they come."""
    summed = merge(merge(first) + merge(second))
    for change in first + second:
        same = [one for one in summed if (one.namespace, one.cause) == (change.namespace, change.cause)]
        if change.rows is None:
            assert any(one.rows is None for one in same)
        else:
            assert {str(row) for row in change.rows} <= {str(row) for one in same for row in one.rows or ()}
    assert sum(one.notifications for one in summed) == sum(one.notifications for one in first + second)
    assert merge(summed) == summed


def test_a_listener_that_tells_no_rows_tells_namespaces() -> None:
    """Each change counts, as one of the whole."""
    ledger = Ledger(by_rows=False)
    ledger.told(Bump(0, 1, (), 0.0))
    ledger.heard([Change(SPACE, "insert", 1, came(1)), Change(SPACE, "insert", 1, came(2))])
    assert ledger.owed == (Change(SPACE, "insert", 2),)


# -- messages


def test_a_change_survives_the_message() -> None:
    """With rows and without; why there are none is the listener's business."""
    change = Change(SPACE, "update", 2, came(1, 2))
    assert Change.from_wire(json.loads(json.dumps(change.as_wire()))) == change
    assert Change.from_wire(Change(SPACE, "update", 2, None, "rows").as_wire()) == Change(SPACE, "update", 2)


@pytest.mark.parametrize(
    "more",
    [
        [["id"]],
        [["id"], []],
        [["id"], [[[1]]]],
        [["id"], [[None, None]]],
        [["id"], [[[1, 2], None]]],
        [None, None],
        ["id", 1],
        [["id"], [[[1], None]], 7],
    ],
)
def test_rows_of_a_message_that_cannot_be_read_are_the_whole_namespace(more: list[object]) -> None:
    """A later version may tell them otherwise; a change it is all the same."""
    assert Change.from_wire([SPACE, "update", 1, *more]) == Change(SPACE, "update", 1)


# -- entries

BODY = b"{}"
QUERY = Query(SPACE, {"limit": 1})


@pytest.mark.parametrize(
    "page",
    [
        None,
        Page("2025-01-01T12:00:00+00:00", "2025-01-01T11:00:00.5+00:00", full=True),
        Page("a b \n\N{GRINNING FACE}", "", full=False),
        Page(1, 0.5, full=True),
        Page(None, None, full=False, empty=True),
    ],
)
def test_an_entry_keeps_its_page(page: Page | None) -> None:
    """In one word of its header."""
    entry = Entry(QUERY, 1, 0.0, 1.0, etag_of(BODY), BODY, page)
    assert Entry.from_wire(QUERY, entry.as_wire()) == entry


@pytest.mark.parametrize(
    "page", [b"", b"{", b"7", b"{}", b"[1]", b"[1,2,3]", b"[null,null,true]", b"nul", b"\xff", b"[" * 9999]
)
def test_a_page_that_cannot_be_read_is_unknown(page: bytes) -> None:
    """The entry is whole: any change of a matching row ends it."""
    text = QUERY.text.encode()
    facts = b'identity %d "e" %s %s' % (len(BODY), page, text)
    wire = b"AC3 1 0 1000 %s %s\n%s" % (_checksum(SPACE, b"1 0 1000", facts, BODY), facts, BODY)
    assert Entry.from_wire(QUERY, wire) == Entry(QUERY, 1, 0.0, 1.0, '"e"', BODY, None)
