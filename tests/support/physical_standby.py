"""A second Postgres that follows the first by streaming, and may lag behind it."""

import shutil
import subprocess
from pathlib import Path

import psycopg

from anomaly_cache.servers.account import server_account
from anomaly_cache.servers.binaries import find_postgres
from anomaly_cache.servers.reach import usable
from tests.support.own_servers import POSTGRES_SETTINGS, OwnPostgres, ServerRoom
from tests.support.postgres import one
from tests.support.waiting import eventually


def hot_standby(room: ServerRoom, primary: OwnPostgres, url: str) -> OwnPostgres:
    """Start a hot standby of `primary`, which it finds at `url`, and which is restarted for it."""
    account = server_account()
    binaries = usable(find_postgres(), account, room.directory.parent)

    def make(directory: Path, port: int) -> OwnPostgres:
        data = directory / "data"
        subprocess.run(["cp", "-a", primary.directory / "data", data], check=True)
        (data / "standby.signal").touch()
        shutil.chown(data / "standby.signal", data.owner(), data.group())
        settings = {**POSTGRES_SETTINGS, "primary_conninfo": url}
        return OwnPostgres(directory, binaries=binaries, port=port, account=account, settings=settings)

    primary.stop()
    try:
        return room._start("standby", make)
    finally:
        primary.start()


async def caught_up(primary: OwnPostgres, standby: OwnPostgres) -> None:
    """Wait until the standby shows all that the primary shows now."""
    async with await psycopg.AsyncConnection.connect(primary.url, autocommit=True) as connection:
        position = await one(connection, "SELECT pg_current_wal_lsn()::text")

    async def replayed() -> bool:
        async with await psycopg.AsyncConnection.connect(standby.url, autocommit=True) as connection:
            return bool(await one(connection, "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", [position]))

    await eventually(replayed, within=30)


async def promote(standby: OwnPostgres) -> None:
    """Make it a primary; returns when it takes writes."""
    async with await psycopg.AsyncConnection.connect(standby.url, autocommit=True) as connection:
        assert await one(connection, "SELECT pg_promote(true, 30)")
