"""The oracle of the hit rate's measurement: which answers it lets pass."""

import json
from dataclasses import replace

import pytest

from bench.oracle import Judgement, Oracle
from bench.reading import Read, Reads
from bench.workload import Asked, Row
from bench.writing import Written

BOUND = 2.0
NEW = Asked(status="NEW", min_score=None, account_id=None, offset=0, limit=2)
SECOND_PAGE = replace(NEW, offset=2)

ROWS = [
    Row(f"t{number}", "a", 0.5, "NEW", f"2025-01-0{9 - number}T00:00:00+00:00", "2025-01-01T00:00:00+00:00")
    for number in range(1, 6)
]
DISMISSED = replace(ROWS[0], status="DISMISSED", version="2026-01-01T00:00:01+00:00")
"""The newest row leaves the list of the new ones, so that each of the others moves up."""


def body(*rows: Row) -> bytes:
    """Return an answer that shows these rows."""
    shown = [{"transaction_id": row.transaction_id, "updated_at": row.version} for row in rows]
    return json.dumps({"anomalies": shown}).encode()


def judge(asked: Asked, answer: bytes, *, sent: float, written: list[Written] | None = None) -> Judgement:
    """Judge one answer, which took 10 ms, to a query of rows whose first was dismissed from 99.9 s to 100 s."""
    changes = [Written(DISMISSED, begun=99.9, returned=100.0)] if written is None else written
    reads = Reads(done=[Read(0, 0, sent, sent, sent + 0.01, "l1", 0)], bodies=[answer])
    return Oracle(ROWS, [asked], changes).judge(reads, BOUND)


@pytest.mark.parametrize("asked", [NEW, SECOND_PAGE])
def test_an_answer_from_before_a_change_is_right_for_as_long_as_the_bound_allows(asked: Asked) -> None:
    """It is outdated once the commit has returned, and wrong once that is longer ago than the bound."""
    old = body(*ROWS[asked.offset : asked.offset + 2])
    assert judge(asked, old, sent=99.0) == Judgement(checked=1)
    outdated = judge(asked, old, sent=101.9)
    assert (outdated.stale, outdated.outdated) == (0, 1)
    assert outdated.oldest == pytest.approx(1.9)
    assert judge(asked, old, sent=102.1).stale == 1


@pytest.mark.parametrize("asked", [NEW, SECOND_PAGE])
def test_an_answer_from_after_a_change_is_right_from_its_commit_on(asked: Asked) -> None:
    """It may be seen before the commit has returned, and not before it was sent."""
    new = body(*ROWS[1 + asked.offset : 3 + asked.offset])
    assert judge(asked, new, sent=99.85).impossible == 1
    assert judge(asked, new, sent=99.95) == judge(asked, new, sent=200.0) == Judgement(checked=1)


@pytest.mark.parametrize(
    "rows", [(ROWS[0], ROWS[2]), (ROWS[1], ROWS[0]), (ROWS[0],), (DISMISSED, ROWS[1]), ()], ids=lambda _: ""
)
def test_a_page_that_never_was_is_wrong(rows: tuple[Row, ...]) -> None:
    """A row too few, in the wrong place, or in a version that does not match, at any time."""
    assert judge(NEW, body(*rows), sent=100.0).impossible == 1


def test_a_new_row_and_a_change_in_place_are_followed() -> None:
    """An insert comes first in the list, an update that changes no filter's column makes another page too."""
    inserted = replace(ROWS[0], transaction_id="t0", detected_at="2026-01-01T00:00:01+00:00", version="v1")
    touched = replace(inserted, version="v2")
    written = [Written(inserted, 100.0, 100.1), Written(touched, 101.0, 101.1)]
    assert judge(NEW, body(inserted, ROWS[0]), sent=100.5, written=written) == Judgement(checked=1)
    assert judge(NEW, body(inserted, ROWS[0]), sent=103.2, written=written).stale == 1
    assert judge(NEW, body(touched, ROWS[0]), sent=103.2, written=written) == Judgement(checked=1)
    assert judge(NEW, body(ROWS[0], ROWS[1]), sent=103.2, written=written).stale == 1


def test_a_page_that_came_back_is_right_again() -> None:
    """What counts is the latest time at which the database had the page."""
    again = replace(ROWS[0], version="2026-01-01T00:00:02+00:00")
    written = [Written(DISMISSED, 99.9, 100.0), Written(again, 150.0, 150.1), Written(DISMISSED, 151.0, 151.1)]
    gone = body(ROWS[1], ROWS[2])
    assert judge(NEW, gone, sent=140.0, written=written) == Judgement(checked=1)
    assert judge(NEW, gone, sent=150.5, written=written).outdated == 1
    assert judge(NEW, gone, sent=200.0, written=written) == Judgement(checked=1)
