"""What the API logs."""

from collections.abc import MutableMapping
from typing import Any

import pytest
from structlog.testing import capture_logs

from coherence.changes import Bump, Change
from coherence.events import Acknowledged, Event, Hit, Invalidated, Operated, Rejected, Shed, ViewPolled
from coherence.view import Polled, Received
from service.database import DatabaseFound, DatabaseLost
from service.journal import Journal

Line = MutableMapping[str, Any]

VALID = ViewPolled(Polled.IN_STEP, valid=True)
INVALID = ViewPolled(Polled.NO_LEASE, valid=False)


async def lines_of(*happened: Event) -> list[Line]:
    """Return what is logged when all that happens."""
    with capture_logs() as lines:
        journal = Journal()
        for event in happened:
            journal(event)
        journal.flush()
    return lines


def invalidated(*changes: Change, generation: int = 7, received: Received = Received.APPLIED) -> Invalidated:
    """Return the event of a bump."""
    return Invalidated(Bump(generation - 1, generation, changes, 0.0), received, 0.0015)


async def test_operators_find_the_line_that_they_look_for() -> None:
    """The cache is initialised once, however often it is polled."""
    lines = await lines_of(INVALID, VALID, VALID, INVALID, VALID)
    assert [line["event"] for line in lines] == ["Cache initialized successfully"]


async def test_off_and_on_are_told_once_each() -> None:
    """Not per poll, and not per request; the reason is Redis' where it has one."""
    failed = Operated("poll", 0.25, "TimeoutError")
    lines = await lines_of(VALID, *(failed, INVALID) * 10, *(Operated("get", 0.25, "TimeoutError"),) * 10, VALID, VALID)
    assert [(line["event"], line["log_level"]) for line in lines] == [
        ("Cache initialized successfully", "info"),
        ("cache off", "warning"),
        ("cache on", "info"),
    ]
    assert lines[1]["reason"] == "TimeoutError"


async def test_a_missing_lease_is_the_reason_where_redis_answers() -> None:
    """No listener vouches for the cache."""
    lines = await lines_of(INVALID, INVALID, INVALID, INVALID)
    assert [(line["event"], line.get("reason")) for line in lines] == [("cache off", "no lease")]


async def test_an_invalidation_says_what_operators_want_to_know() -> None:
    """Namespace, generation, cause, number of notifications, latency."""
    (line,) = await lines_of(invalidated(Change("anomalies", "update", 3)))
    assert line["event"] == "cache invalidated"
    wanted = {"namespace": "anomalies", "generation": 7, "cause": "update", "notifications": 3, "latency_ms": 1.5}
    assert wanted.items() <= line.items()


async def test_frequent_invalidations_are_summed_up() -> None:
    """A line at once, and one for the rest."""
    first, rest = await lines_of(*(invalidated(Change("anomalies", "update", 2), generation=n) for n in range(2, 102)))
    assert (first["notifications"], first["generation"]) == (2, 2)
    assert (rest["notifications"], rest["bumps"], rest["generation"]) == (198, 99, 101)


async def test_a_gap_concerns_everything_and_an_old_message_nothing() -> None:
    """What was missed may have been about any namespace; what is known already is no news."""
    lines = await lines_of(
        invalidated(Change("anomalies", "update"), received=Received.GAP),
        invalidated(Change("anomalies", "update"), received=Received.OLD),
    )
    assert [(line["namespace"], line["cause"]) for line in lines] == [("*", "gap")]


async def test_everything_is_named_by_a_star() -> None:
    """A change without a namespace is about all of them."""
    (line,) = await lines_of(invalidated(Change(None, "resync", 0)))
    assert (line["namespace"], line["cause"]) == ("*", "resync")


@pytest.mark.parametrize(
    "trouble",
    [
        Operated("set", 0.1, "TimeoutError"),
        Rejected("anomalies", "checksum"),
        Shed("anomalies"),
        Acknowledged(1, 2, 0.1),
    ],
)
async def test_trouble_is_a_warning_and_much_of_it_is_two(trouble: Event) -> None:
    """A thousand failures are not a thousand lines."""
    lines = await lines_of(*[trouble] * 1000)
    assert [(line["log_level"], line["times"]) for line in lines] == [("warning", 1), ("warning", 999)]


async def test_what_goes_well_is_not_logged() -> None:
    """Neither hits nor operations that worked."""
    assert await lines_of(Hit("anomalies", "l1"), Operated("get", 0.001), Acknowledged(2, 2, 0.001)) == []


async def test_the_database_is_lost_and_found() -> None:
    """With the reason."""
    with capture_logs() as lines:
        journal = Journal()
        journal.database(DatabaseLost("connection refused"))
        journal.database(DatabaseFound())
    assert [(line["event"], line.get("reason")) for line in lines] == [
        ("database lost", "connection refused"),
        ("database found", None),
    ]
