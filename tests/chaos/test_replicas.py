"""API processes that stand still for a while, and such that start in the middle of it all."""

import asyncio
from itertools import cycle

import pytest

from tests.chaos.fleet import MakeFleet
from tests.chaos.trial import Run
from tests.chaos.writer import TARGETS

PAUSES = (0.3, 2.0)
"""Shorter than a lease, and longer; in bounds."""
REQUESTS = 20


@pytest.mark.quick
@pytest.mark.scenario("api-stopped")
async def test_a_replica_that_stands_still(make_fleet: MakeFleet, run: Run) -> None:
    """SIGSTOP, then SIGCONT with requests waiting: those that came last get nothing from before the pause."""
    fleet = await make_fleet(replicas=2)
    targets = cycle(TARGETS)
    async with run(fleet) as trial, trial.fault("stopped"):
        for pause in PAUSES:
            fleet.apis[0].program.pause()
            for _ in range(REQUESTS):
                trial.ask(0, next(targets))
                await trial.lasts(pause * fleet.bound / REQUESTS)
            fleet.apis[0].program.resume()
            await trial.answers(20)


@pytest.mark.scenario("api-suspended")
async def test_a_replica_whose_network_comes_back_after_it(make_fleet: MakeFleet, run: Run) -> None:
    """A machine is suspended, and Redis reaches it again only a while after its clients: it knows what time it is."""
    fleet = await make_fleet(replicas=2)
    async with run(fleet) as trial, trial.fault("suspended"):
        fleet.apis[0].redis.stall()
        fleet.apis[0].program.pause()
        await trial.writer.change_all()
        await trial.lasts(1.5 * fleet.bound)
        fleet.apis[0].program.resume()
        await trial.lasts(fleet.bound)
        fleet.apis[0].redis.resume()


@pytest.mark.scenario("api-flickers")
async def test_a_replica_that_runs_in_fits_and_starts(make_fleet: MakeFleet, run: Run) -> None:
    """A machine so overcommitted that a process runs for moments only: it answers late, never older than the bound."""
    fleet = await make_fleet(replicas=2)
    async with run(fleet) as trial, trial.fault("stopped again and again"):
        for stopped in (0.05, 0.2, 0.4, 0.8) * 4:
            fleet.apis[0].program.pause()
            await trial.lasts(stopped)
            fleet.apis[0].program.resume()
            await trial.lasts(0.05)


@pytest.mark.scenario("api-started-amid-faults")
async def test_a_replica_that_starts_in_the_middle(make_fleet: MakeFleet, run: Run) -> None:
    """While nobody listens, while Redis hangs, after Redis forgot, while a standby takes over: it shows nothing old."""
    fleet = await make_fleet(replicas=2, standbys=1, own_redis=True)
    async with run(fleet) as trial:
        async with trial.fault("both listeners stopped"):
            for ear in fleet.ears:
                ear.program.pause()
            await trial.add_api()
            await trial.answers(20)
            for ear in fleet.ears:
                ear.program.resume()
        async with trial.fault("its Redis hangs"):
            fleet.own_redis.pause()
            await trial.add_api()
            await trial.answers(20)
            fleet.own_redis.resume()
        async with trial.fault("Redis forgets, and the listener dies"):
            starting = asyncio.create_task(trial.add_api())
            await fleet.redis.flushall()
            fleet.ears[0].program.kill()
            await starting
            await trial.answers(20)
