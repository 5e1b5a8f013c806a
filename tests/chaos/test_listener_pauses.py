"""The listener dies, or stops in the worst moment: its lease is never longer than what it had proven."""

import time
from functools import partial

import pytest

from tests.acceptance.system import layer
from tests.chaos.faults.listeners import ListenerKilled, ListenerPaused, ScriptHeld
from tests.chaos.fleet import MakeFleet
from tests.chaos.meddling import make_meddled
from tests.chaos.trial import Run, Trial
from tests.chaos.writer import TARGETS
from tests.support.processes import Program
from tests.support.waiting import eventually

AUDIT_LEAST_BYTES = 220
"""Postgres' answer about the triggers is larger, and that to a fence smaller."""
TAKE_OVER_SECONDS = 1.0
"""The promise."""


@pytest.mark.scenario("listener-killed")
async def test_a_killed_listener(make_fleet: MakeFleet, run: Run) -> None:
    """SIGKILL, without a standby: the cache turns itself off, until the listener is back."""
    fleet = await make_fleet()
    async with run(fleet) as trial, trial.fault("killed"), ListenerKilled(fleet.listeners[0]).broken():
        await bypassed(trial)


@pytest.mark.scenario("listener-killed-standby")
async def test_a_killed_listener_with_a_standby(make_fleet: MakeFleet, run: Run) -> None:
    """SIGKILL, with a standby: that serves within a second, every time, and the lease goes on."""
    fleet = await make_fleet(standbys=1)
    seconds = []
    async with run(fleet) as trial:
        for turn in range(3):
            active, standby = (fleet.listeners[(turn + each) % 2] for each in (0, 1))
            async with trial.fault("killed"):
                given = len(standby.logs("lease given"))
                killed = time.monotonic()
                async with ListenerKilled(active).broken():
                    await eventually(partial(more, standby, given), within=20.0)
                    seconds.append(time.monotonic() - killed)
                    await trial.lasts(fleet.bound)
        trial.report.figures["standby serves after"] = max(seconds)
    assert max(seconds) < TAKE_OVER_SECONDS


def more(listener: Program, given: int) -> bool:
    """Tell whether a listener has given another lease than those before, after it took over."""
    return len(listener.logs("lease given")) > given


@pytest.mark.scenario("listener-paused")
async def test_a_paused_listener(make_fleet: MakeFleet, run: Run) -> None:
    """SIGSTOP for longer than the lease, then SIGCONT, without a standby; everything changed meanwhile."""
    fleet = await make_fleet()
    async with run(fleet) as trial, trial.fault("paused"):
        async with ListenerPaused(fleet.listeners[0]).broken():
            await trial.writer.pause()
            await trial.writer.change_all()
            await bypassed(trial)
            await trial.lasts(fleet.bound)
        await trial.lasts(fleet.bound)
        trial.writer.resume()


@pytest.mark.scenario("listener-paused-standby")
async def test_a_paused_listener_with_a_standby(make_fleet: MakeFleet, run: Run) -> None:
    """SIGSTOP, with a standby, which takes over; after SIGCONT the two agree on who serves."""
    fleet = await make_fleet(standbys=1)
    active, standby = fleet.listeners
    async with run(fleet) as trial, trial.fault("paused"):
        async with ListenerPaused(active).broken():
            await standby.logged("lease given", within=20.0)
            await trial.lasts(fleet.bound)
        await active.logged("listener standby", within=20.0)


@pytest.mark.quick
@pytest.mark.scenario("listener-paused-before-renewal")
async def test_a_renewal_that_is_held_up(make_fleet: MakeFleet, run: Run) -> None:
    """The listener has proven that it missed nothing, and is stopped; its renewal comes late, after a commit."""
    fleet, proxy = await make_meddled(make_fleet)
    async with run(fleet) as trial:
        for _ in range(2):
            async with trial.fault("paused"):
                await trial.writer.pause()
                renewal = ScriptHeld(proxy, "renew", "command")
                await renewal.start()
                await renewal.holds()
                async with ListenerPaused(fleet.listeners[0]).broken():
                    await trial.writer.change_all()
                    await trial.lasts(fleet.bound / 2)  # the lease before is good still: this one would prolong it
                    await renewal.heal()
                    await trial.lasts(1.5 * fleet.bound)
                await trial.lasts(fleet.bound / 2)
                trial.writer.resume()


@pytest.mark.scenario("listener-held-after-fence")
async def test_a_listener_that_is_held_up_between_fence_and_renewal(make_fleet: MakeFleet, run: Run) -> None:
    """Its fence is back, and the next answer of Postgres is late; when it has renewed, it hears nothing for a while."""
    fleet, proxy = await make_meddled(make_fleet, listener={"REDIS_TIMEOUT_MS": "5000"})
    link = fleet.ears[0].postgres
    async with run(fleet) as trial:
        for _ in range(2):
            async with trial.fault("held up"):
                await trial.writer.pause()
                link.hold_answers(larger_than=AUDIT_LEAST_BYTES)
                await eventually(lambda: link.held, within=20.0)
                await trial.writer.change_all()
                await trial.lasts(fleet.bound / 2)
                renewal = ScriptHeld(proxy, "renew", "answer")
                async with renewal.broken():
                    link.resume()
                    await renewal.holds()
                    await trial.lasts(1.5 * fleet.bound)
                await trial.lasts(fleet.bound / 2)
                trial.writer.resume()


async def bypassed(trial: Trial) -> None:
    """Wait until every replica answers from Postgres for want of a lease."""

    async def off() -> bool:
        trial.check()
        paths = [(replica, TARGETS[0].path) for replica in range(len(trial.fleet.clients))]
        return all([layer(await trial.fleet.get(*each)) == "no-lease" for each in paths])

    await eventually(off, within=20.0)
