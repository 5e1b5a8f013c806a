"""One load for many who want the same."""

import asyncio
import gc

import pytest

from coherence.query import Query
from coherence.singleflight import Flight, SingleFlight

QUERY = Query("anomalies", {"limit": 1})
OTHER = Query("anomalies", {"limit": 2})


class Tower:
    """Flights that land when they are told to, counted."""

    def __init__(self) -> None:
        self.flights = SingleFlight[str]()
        self.begun: list[asyncio.Future[str]] = []

    async def load(self, _: Flight[str]) -> str:
        """Return what its place in `begun` is given."""
        landing = asyncio.get_running_loop().create_future()
        self.begun.append(landing)
        result: str = await landing
        return result

    def passenger(self, query: Query = QUERY, *, stamp: int = 1, oldest: int = 0) -> asyncio.Task[tuple[str, bool]]:
        """Ask for `query`, joining no flight stamped before `oldest`."""
        return asyncio.create_task(
            self.flights.run(query, stamp, lambda flight: flight.stamp >= oldest, self.load), name="passenger"
        )


async def settle() -> None:
    """Let every task run on to where it waits."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_hundred_who_want_the_same_make_one_load() -> None:
    """The first begins it, the others join, and all get what it brings."""
    tower = Tower()
    passengers = [tower.passenger() for _ in range(100)]
    await settle()
    assert len(tower.begun) == 1
    tower.begun[0].set_result("body")
    answers = await asyncio.gather(*passengers)
    assert answers == [("body", False)] + [("body", True)] * 99


async def test_other_queries_fly_by_themselves() -> None:
    """A flight is for one query."""
    tower = Tower()
    one, other = tower.passenger(QUERY), tower.passenger(OTHER)
    await settle()
    assert len(tower.begun) == 2
    tower.begun[0].set_result("one")
    tower.begun[1].set_result("other")
    assert (await one)[0] == "one"
    assert (await other)[0] == "other"


async def test_a_flight_that_has_landed_is_joined_by_nobody() -> None:
    """What comes afterwards begins anew."""
    tower = Tower()
    first = tower.passenger()
    await settle()
    tower.begun[0].set_result("old")
    assert await first == ("old", False)
    second = tower.passenger()
    await settle()
    tower.begun[1].set_result("new")
    assert await second == ("new", False)


async def test_a_flight_that_may_not_be_joined_flies_on_beside_the_new_one() -> None:
    """Those aboard get what it brings; later callers find the new one, also once the old one has landed."""
    tower = Tower()
    early = tower.passenger(stamp=1)
    await settle()
    late = tower.passenger(stamp=2, oldest=2)
    await settle()
    tower.begun[0].set_result("old")
    assert await early == ("old", False)
    later = tower.passenger(stamp=2, oldest=2)
    await settle()
    assert len(tower.begun) == 2
    tower.begun[1].set_result("new")
    assert await late == ("new", False)
    assert await later == ("new", True)


async def test_a_cancelled_leader_does_not_fail_its_followers() -> None:
    """The first may hang up: the load goes on for the others."""
    tower = Tower()
    leader = tower.passenger()
    await settle()
    follower = tower.passenger()
    await settle()
    leader.cancel()
    await settle()
    assert leader.cancelled()
    tower.begun[0].set_result("body")
    assert await follower == ("body", True)


async def test_a_cancelled_follower_fails_nobody() -> None:
    """Nor does anybody who joined take the load along."""
    tower = Tower()
    leader = tower.passenger()
    await settle()
    gone, stays = tower.passenger(), tower.passenger()
    await settle()
    gone.cancel()
    await settle()
    tower.begun[0].set_result("body")
    assert await leader == ("body", False)
    assert await stays == ("body", True)
    assert gone.cancelled()


async def test_a_load_that_everybody_left_can_still_be_joined() -> None:
    """It has cost the database its price: whoever comes next has the use of it."""
    tower = Tower()
    leader = tower.passenger()
    await settle()
    leader.cancel()
    await settle()
    next_one = tower.passenger()
    await settle()
    tower.begun[0].set_result("body")
    assert await next_one == ("body", True)


async def test_a_failed_load_fails_all_who_share_it_and_nobody_else() -> None:
    """All get the error; the next to come tries again."""
    tower = Tower()
    passengers = [tower.passenger() for _ in range(3)]
    await settle()
    tower.begun[0].set_exception(ConnectionError("database gone"))
    for passenger in passengers:
        with pytest.raises(ConnectionError):
            await passenger
    again = tower.passenger()
    await settle()
    tower.begun[1].set_result("body")
    assert await again == ("body", False)


async def test_an_error_that_nobody_waits_for_is_no_leak(caplog: pytest.LogCaptureFixture) -> None:
    """Where every passenger left, asyncio has no unretrieved exception to complain of."""
    tower = Tower()
    leader = tower.passenger()
    await settle()
    leader.cancel()
    await settle()
    tower.begun[0].set_exception(ConnectionError("database gone"))
    await settle()
    gc.collect()
    await settle()
    assert caplog.records == []


async def test_closing_ends_what_is_under_way() -> None:
    """At the end no load is left running, a flight that was turned down included."""
    tower = Tower()
    passengers = [tower.passenger(stamp=1), tower.passenger(stamp=2, oldest=2)]
    await settle()
    await tower.flights.close()
    assert all(landing.cancelled() for landing in tower.begun)
    outcomes = await asyncio.gather(*passengers, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError] * 2
    await tower.flights.close()
