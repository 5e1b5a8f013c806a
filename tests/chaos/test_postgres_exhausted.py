"""Postgres has run out of disk or of connections, or a table is locked: answers come, or a 503 in time."""

import subprocess
from collections.abc import Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import httpx2
import psycopg
import pytest

from anomaly_cache.servers.account import server_account
from coherence.clock import monotonic
from tests.chaos.fleet import Fleet, MakeFleet
from tests.chaos.trial import Run
from tests.chaos.writer import ANOMALIES, KEYS
from tests.support.own_servers import ServerRoom
from tests.support.waiting import eventually

SHED = frozenset({503})
DISK_BYTES = 192 * 2**20
SMALL_WAL = {"min_wal_size": "32MB", "max_wal_size": "64MB", "fsync": "on"}
LOCKED_SECONDS = 60
PATIENCE_SECONDS = 20.0
"""Far more than a 503 may take, on however busy a machine."""


async def answered_in_time(fleet: Fleet) -> set[int]:
    """Ask each replica for what nobody has cached, and to change a row; return the statuses that came."""
    statuses = set()
    for client in fleet.clients:
        started = monotonic()
        statuses.add((await client.get(f"{ANOMALIES}?account_id=nobody-{started}")).status_code)
        path = f"{ANOMALIES}/{KEYS[0]}-not-there"
        statuses.add((await client.put(path, json={"new_status": "DISMISSED"})).status_code)
        assert monotonic() - started < PATIENCE_SECONDS
    return statuses


@pytest.fixture
def small_disk(own_room: ServerRoom) -> Iterator[Path]:
    """A small file system under the test's own servers."""
    if server_account() is None:
        pytest.skip("needs root, to mount a small file system")
    place = own_room.directory
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=711", "tmpfs", place], check=True)
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


@pytest.mark.scenario("disk-full")
async def test_a_full_disk(small_disk: Path, make_fleet: MakeFleet, run: Run) -> None:
    """Postgres cannot write, and in the end not run; when there is room again, all is as before."""
    fleet = await make_fleet(own_postgres=SMALL_WAL)
    server = fleet.own_postgres
    ballast = small_disk / "ballast"
    async with run(fleet) as trial, trial.fault("disk full", allows=SHED):
        with ballast.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(2**16))
        with pytest.raises(psycopg.OperationalError):
            await fleet.sql(
                "CREATE TABLE filler AS SELECT g, repeat('x', 1000) AS text FROM generate_series(1, 200000) AS g"
            )
        assert await answered_in_time(fleet) <= {200, 404, 503}
        await trial.lasts(2 * fleet.bound)
        ballast.unlink()
        if not server.child.running:
            server.start()


@pytest.mark.scenario("connections-used-up")
async def test_no_connection_is_left(make_fleet: MakeFleet, run: Run) -> None:
    """Others take every connection of Postgres, and those of the processes break."""
    fleet = await make_fleet(own_postgres={"max_connections": "30", "superuser_reserved_connections": "0"})
    async with run(fleet) as trial, trial.fault("no connection", allows=SHED), AsyncExitStack() as hogs:

        async def used_up() -> bool:
            try:
                await hogs.enter_async_context(await fleet.connect())
            except psycopg.OperationalError:
                return True
            return False

        await eventually(used_up, within=60)
        for node in (*fleet.apis, *fleet.ears):
            node.postgres.reset()
        await eventually(used_up, within=60)
        assert await answered_in_time(fleet) <= {200, 404, 503}
        await trial.lasts(2 * fleet.bound)


@pytest.mark.long
@pytest.mark.scenario("table-locked")
async def test_a_locked_table(make_fleet: MakeFleet, run: Run) -> None:
    """For a minute nobody can read the table: what is cached is served, what is not is a 503 in time."""
    fleet = await make_fleet(DB_STATEMENT_TIMEOUT_MS="500", CACHE_TTL_ANOMALIES="600")
    async with run(fleet) as trial, trial.fault("locked", allows=SHED):
        await trial.writer.pause()
        await trial.cached()
        async with await psycopg.AsyncConnection.connect(fleet.database_url) as owner:
            await owner.execute("LOCK TABLE anomalies")
            trial.phase = "locked for a minute"
            started = monotonic()
            while monotonic() - started < LOCKED_SECONDS:
                assert await answered_in_time(fleet) == {503}
                await trial.answers(10)
            layers = {layer for _, layer in trial.oracle.tallies["locked for a minute"].layers}
            assert layers == {"l1"}
        trial.writer.resume()
        assert httpx2.codes.OK in await answered_in_time(fleet)
