"""Postgres crashes, and another takes its place that lacks what was last committed and seen."""

from contextlib import suppress

import psutil
import pytest

from coherence.clock import monotonic
from tests.chaos.fleet import Fleet, MakeFleet
from tests.chaos.trial import Run, Trial
from tests.chaos.writer import KEYS
from tests.support.own_servers import ServerRoom
from tests.support.physical_standby import caught_up, hot_standby, promote
from tests.support.proxy import Proxy

NO_DATABASE = frozenset({503})
BOUND = 5.0
"""Seconds; longer than Postgres is away, so that no lease ends, and with it all that was cached."""
DISK_WRITERS = ("walwriter", "background writer", "checkpointer")


def cut_off(fleet: Fleet) -> None:
    """Let no process reach Postgres."""
    for node in (*fleet.apis, *fleet.ears):
        node.postgres.refuse()


async def join(fleet: Fleet) -> None:
    """Let all of them reach Postgres, wherever it is now."""
    for node in (*fleet.apis, *fleet.ears):
        await node.postgres.accept()


async def admit(trial: Trial) -> int:
    """Tell the oracle which versions Postgres has lost; return how many rows have an older one now."""
    async with await trial.fleet.connect() as connection:
        cursor = await connection.execute(
            "SELECT transaction_id, reason::integer FROM anomalies WHERE transaction_id = ANY (%s)", (list(KEYS),)
        )
        present: dict[str, int] = dict(await cursor.fetchall())
    lost = {key: version for key, version in present.items() if version != trial.oracle.newest(key)}
    for key, version in lost.items():
        trial.oracle.restored(key, version, monotonic())
    return len(lost)


@pytest.mark.scenario("postgres-killed")
async def test_a_crash_straight_after_a_commit(make_fleet: MakeFleet, run: Run) -> None:
    """SIGKILL when a commit has returned, and the listener has not heard of it: nobody is told later."""
    fleet = await make_fleet(own_postgres=True, standbys=1, bound=BOUND)
    async with run(fleet) as trial, trial.fault("killed", allows=NO_DATABASE):
        await trial.writer.pause()
        for node in fleet.ears:
            node.postgres.stall()
        await trial.writer.change_all()
        fleet.own_postgres.kill()
        cut_off(fleet)
        fleet.own_postgres.start()
        assert await admit(trial) == 0
        for node in fleet.ears:
            node.postgres.resume()
        await join(fleet)
        trial.writer.resume()


@pytest.mark.scenario("postgres-forgets")
async def test_a_crash_that_loses_commits(make_fleet: MakeFleet, run: Run) -> None:
    """With synchronous_commit off, a crash loses what everybody has seen already: it goes from the caches, too."""
    fleet = await make_fleet(own_postgres={"synchronous_commit": "off"}, bound=BOUND)
    async with run(fleet) as trial, trial.fault("killed", allows=NO_DATABASE):
        await trial.writer.pause()
        await fleet.sql("CHECKPOINT")
        for process in psutil.Process(fleet.own_postgres.pid).children():
            # Sessions end as we look.
            with suppress(psutil.NoSuchProcess):
                if any(word in "".join(process.cmdline()) for word in DISK_WRITERS):
                    process.suspend()
        await trial.writer.change_all()
        await trial.shown()
        fleet.own_postgres.kill()
        cut_off(fleet)
        fleet.own_postgres.start()
        assert await admit(trial) == len(KEYS)
        await join(fleet)
        await trial.lasts(fleet.bound)
        trial.writer.resume()


@pytest.mark.scenario("postgres-failover")
async def test_a_standby_that_lags_is_promoted(make_fleet: MakeFleet, run: Run, own_room: ServerRoom) -> None:
    """The primary is lost with commits that everybody has seen, and the standby has not: they go from the caches."""
    fleet = await make_fleet(own_postgres=True, standbys=1, bound=BOUND)
    async with Proxy(fleet.own_postgres.url) as link:
        standby = hot_standby(own_room, fleet.own_postgres, link.url)
        async with run(fleet) as trial, trial.fault("failed over", allows=NO_DATABASE):
            await trial.writer.pause()
            await caught_up(fleet.own_postgres, standby)
            link.stall()
            await trial.writer.change_all()
            await trial.shown()
            cut_off(fleet)
            fleet.own_postgres.kill()
            await promote(standby)
            fleet.move_postgres(standby)
            trial.writer.url = standby.url
            assert await admit(trial) == len(KEYS)
            await join(fleet)
            await trial.lasts(fleet.bound)
            trial.writer.resume()
