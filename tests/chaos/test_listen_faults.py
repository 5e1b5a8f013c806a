"""The listener's session with Postgres breaks, or falls silent; and what commits just then."""

from collections.abc import Callable

import pytest

from tests.chaos.faults.fault import Fault
from tests.chaos.faults.listeners import END_SESSIONS, ListenHalfOpen, ListenKilled, ListenSilent, ScriptHeld, Side
from tests.chaos.fleet import Fleet, MakeFleet
from tests.chaos.meddling import make_meddled
from tests.chaos.trial import Run

TIMES = 3


@pytest.mark.scenario("listen-killed")
async def test_a_session_that_postgres_ends(make_fleet: MakeFleet, run: Run) -> None:
    """pg_terminate_backend of the listener's sessions, again and again, with commits in the gaps."""
    fleet = await make_fleet()
    async with run(fleet) as trial, trial.fault("killed"), ListenKilled(fleet.database_url).broken():
        await trial.lasts(4 * fleet.bound)


@pytest.mark.scenario("listen-half-open")
async def test_a_session_that_is_half_open(make_fleet: MakeFleet, run: Run) -> None:
    """Postgres has forgotten the listener's connection, and the listener does not know."""
    await silence(make_fleet, run, lambda fleet: ListenHalfOpen(fleet.ears[0].postgres))


@pytest.mark.scenario("listen-silent")
async def test_a_session_that_falls_silent(make_fleet: MakeFleet, run: Run) -> None:
    """Nothing passes between the listener and Postgres, and nothing says so."""
    await silence(make_fleet, run, lambda fleet: ListenSilent(fleet.ears[0].postgres))


async def silence(make_fleet: MakeFleet, run: Run, fault: Callable[[Fleet], Fault]) -> None:
    """Break the link, and have each row change just then: no later change tells of it."""
    fleet = await make_fleet()
    async with run(fleet) as trial, trial.fault("silent"):
        await trial.writer.pause()
        async with fault(fleet).broken():
            await trial.writer.change_all()
            await trial.lasts(3 * fleet.bound)
        trial.writer.resume()


@pytest.mark.parametrize(
    "side",
    [
        pytest.param("command", marks=pytest.mark.scenario("commit-between-listen-and-bump")),
        pytest.param("answer", marks=[pytest.mark.scenario("commit-within-first-bump"), pytest.mark.quick]),
    ],
)
async def test_a_commit_between_listen_and_the_first_bump(make_fleet: MakeFleet, run: Run, side: Side) -> None:
    """A new session listens; its first bump, or the answer to it, is held up, and everything changes meanwhile."""
    fleet, proxy = await make_meddled(make_fleet, listener={"REDIS_TIMEOUT_MS": "5000"})
    async with run(fleet) as trial:
        for _ in range(TIMES):
            async with trial.fault("between LISTEN and bump"):
                await trial.writer.pause()
                first = ScriptHeld(proxy, "bump", side)
                async with first.broken():
                    await fleet.sql(END_SESSIONS)
                    await first.holds()
                    await trial.answers(6)  # so that what was there before the commit is cached
                    await trial.writer.change_all()
                    await trial.answers(3)
                await trial.lasts(1.5 * fleet.bound)
                trial.writer.resume()
