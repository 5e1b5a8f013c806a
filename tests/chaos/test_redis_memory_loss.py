"""Redis forgets, wholly or in part, or its clock is wrong, while the listener lives."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.chaos.faults.clocks import ClockSetBack
from tests.chaos.faults.listeners import ListenerKilled
from tests.chaos.faults.redis import (
    Evicting,
    Flushed,
    GenerationDeleted,
    RedisFault,
    RestartedEmpty,
    SnapshotRestored,
)
from tests.chaos.fleet import Fleet, MakeFleet
from tests.chaos.meddling import names_of
from tests.chaos.readers import NO_ANSWER
from tests.chaos.trial import Run
from tests.support.fake_clock import FakeClock
from tests.support.waiting import eventually


def of(fleet: Fleet, kind: Callable[..., RedisFault]) -> RedisFault:
    """Return a fault of the fleet's Redis."""
    return kind(fleet.own_redis, fleet.redis, names_of(fleet))


@pytest.mark.scenario("generation-deleted")
async def test_a_deleted_generation(make_fleet: MakeFleet, run: Run) -> None:
    """DEL of the generation, again and again."""
    fleet = await make_fleet(own_redis=True)
    async with run(fleet) as trial, trial.fault("deleted"), of(fleet, GenerationDeleted).broken():
        await trial.lasts(3 * fleet.bound)


@pytest.mark.scenario("generation-evicted")
async def test_an_evicted_generation(make_fleet: MakeFleet, run: Run) -> None:
    """Other keys fill Redis' memory under allkeys-lru, until the generation is evicted, and on."""
    fleet = await make_fleet(own_redis=True)
    async with run(fleet) as trial, trial.fault("evicting"):
        evicting = Evicting(fleet.own_redis, fleet.redis, names_of(fleet))
        async with evicting.broken():
            await trial.lasts(3 * fleet.bound)
            await eventually(lambda: evicting.evictions_of_the_generation, within=30.0)
        trial.report.figures["evictions of the generation"] = evicting.evictions_of_the_generation


@pytest.mark.scenario("redis-flushed")
async def test_a_flushed_redis(make_fleet: MakeFleet, run: Run) -> None:
    """FLUSHALL, again and again."""
    fleet = await make_fleet(own_redis=True)
    async with run(fleet) as trial, trial.fault("flushed"), of(fleet, Flushed).broken():
        await trial.lasts(3 * fleet.bound)


@pytest.mark.scenario("redis-restarted-empty")
async def test_a_redis_that_comes_back_empty(make_fleet: MakeFleet, run: Run) -> None:
    """A crash, at once or a while before the start."""
    fleet = await make_fleet(own_redis=True)
    async with run(fleet) as trial:
        for seconds in (0.0, 1.5 * fleet.bound):
            async with trial.fault("restarted"), of(fleet, RestartedEmpty).broken():
                await trial.lasts(seconds)


@pytest.mark.scenario("redis-snapshot-restored")
async def test_an_old_snapshot(make_fleet: MakeFleet, run: Run) -> None:
    """A start with what was saved before everything changed: its lease is good still, and one process is unaware."""
    fleet = await make_fleet(own_redis=True, bound=3.0)  # so that the restart is sure to be quicker than the lease
    async with run(fleet) as trial:
        for _ in range(2):
            async with trial.fault("restored"):
                await trial.writer.pause()
                snapshot = SnapshotRestored(fleet.own_redis, fleet.redis, names_of(fleet))
                before = await snapshot.remember()
                fleet.apis[1].redis.stall()  # that one does not hear of the change
                await trial.writer.change_all()
                await eventually(partial(bumped, fleet, before), within=20.0)
                await trial.lasts(fleet.bound / 10)  # the listener has told all of it, and will not again
                async with snapshot.broken():
                    fleet.apis[1].redis.reset()  # with all that was on its way
                    fleet.apis[1].redis.resume()
                    await trial.lasts(1.5 * fleet.bound)
                trial.writer.resume()


async def bumped(fleet: Fleet, before: int) -> bool:
    """Tell whether Redis has a later generation than `before`."""
    return await fleet.generation() > before


@pytest.fixture
def clock(tmp_path: Path) -> FakeClock:
    """A clock for a Redis to run by."""
    return FakeClock(tmp_path)


@pytest.mark.scenario("redis-clock-set-back")
async def test_a_clock_that_is_set_back(make_fleet: MakeFleet, run: Run, clock: FakeClock) -> None:
    """Redis' clock goes back by an hour, and is set right later, while the listener lives."""
    fleet = await make_fleet(own_redis={"binary": str(clock.wrap())})
    async with run(fleet) as trial, trial.fault("set back"), ClockSetBack(clock).broken():
        await trial.lasts(3 * fleet.bound)


@pytest.mark.parametrize(
    "seconds",
    [
        pytest.param(3600.0, marks=pytest.mark.scenario("redis-clock-set-back-unheard")),
        pytest.param(0.6, marks=pytest.mark.scenario("redis-clock-set-back-a-little")),
    ],
)
async def test_a_lease_that_a_clock_prolongs(make_fleet: MakeFleet, run: Run, clock: FakeClock, seconds: float) -> None:
    """The listener dies, everything changes unheard, and Redis' clock goes back: its last lease seems to last."""
    fleet = await make_fleet(own_redis={"binary": str(clock.wrap())})
    async with run(fleet) as trial, trial.fault("set back"):
        await trial.writer.pause()
        async with ListenerKilled(fleet.listeners[0]).broken(), ClockSetBack(clock, seconds).broken():
            await trial.writer.change_all()
            await trial.lasts(3 * fleet.bound)
        trial.writer.resume()


@pytest.mark.scenario("redis-clock-set-back-newcomer")
async def test_a_newcomer_to_a_clock_that_was_set_back(make_fleet: MakeFleet, run: Run, clock: FakeClock) -> None:
    """As before, and a replica that has never seen Redis meets it then: it knows of no other clock."""
    fleet = await make_fleet(own_redis={"binary": str(clock.wrap())})
    newcomer = await fleet.add_api()
    async with run(fleet) as trial, trial.fault("set back", allows={NO_ANSWER}):
        await trial.writer.pause()
        newcomer.redis.refuse()
        await newcomer.program.stop()
        newcomer.program.start_again()
        await newcomer.program.ready()
        async with ListenerKilled(fleet.listeners[0]).broken(), ClockSetBack(clock, seconds=0.7).broken():
            await trial.writer.change_all()
            await eventually(lambda: short_lease(fleet), within=5.0)
            await newcomer.redis.accept()
            await trial.lasts(3 * fleet.bound)
        trial.writer.resume()


async def short_lease(fleet: Fleet) -> bool:
    """Tell whether the lease that is left looks like one that may be."""
    return await fleet.redis.pttl(names_of(fleet).generation) < 900 * fleet.bound
