"""Redis answers, but too late, or with errors: the cache turns itself off and on again, and nobody notices."""

import pytest

from tests.chaos.faults.redis import Busy, Forbidden, Full, Loading, ReadOnly, RedisFault
from tests.chaos.fleet import MakeFleet
from tests.chaos.meddling import names_of
from tests.chaos.trial import Run

SECONDS = 3.0


@pytest.mark.scenario("redis-slow")
async def test_every_command_is_answered_after_three_seconds(make_fleet: MakeFleet, run: Run) -> None:
    """What passes to and from Redis takes 1.5 s each way."""
    fleet = await make_fleet(own_redis=True)
    links = {id(node.redis): node.redis for node in (*fleet.apis, *fleet.ears)}.values()
    async with run(fleet) as trial, trial.fault("slow"):
        for link in links:
            link.latency = SECONDS / 2
        await trial.lasts(2 * SECONDS)
        for link in links:
            link.latency = 0.0


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(ReadOnly, marks=pytest.mark.scenario("redis-readonly")),
        pytest.param(Full, marks=pytest.mark.scenario("redis-oom")),
        pytest.param(Loading, marks=pytest.mark.scenario("redis-loading")),
        pytest.param(Forbidden, marks=pytest.mark.scenario("redis-noperm")),
        pytest.param(Busy, marks=pytest.mark.scenario("redis-busy")),
    ],
    ids=lambda kind: kind.name,
)
async def test_a_redis_that_refuses(make_fleet: MakeFleet, run: Run, kind: type[RedisFault]) -> None:
    """READONLY, OOM, LOADING, NOPERM, BUSY: each as Redis itself says it."""
    fleet = await make_fleet(own_redis=True)
    refusing = kind(fleet.own_redis, fleet.redis, names_of(fleet))
    async with run(fleet) as trial, trial.fault(kind.name):
        await trial.writer.pause()
        async with refusing.broken():
            await trial.writer.change_all()  # of which no later change tells
            await trial.lasts(1.5 * fleet.bound)
            trial.writer.resume()
            await trial.lasts(fleet.bound)
