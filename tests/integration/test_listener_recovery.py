"""A listener and a Postgres in recovery: a hot standby is of no use at first, and a passing thing later."""

import shutil
from collections.abc import Callable

import psycopg
import pytest

from anomaly_cache.migrate import migrate
from listener.events import Disconnected
from listener.source import Unsuitable, open_source
from tests.support.listeners import Place
from tests.support.own_servers import OwnPostgres
from tests.support.waiting import eventually


def into_recovery(postgres: OwnPostgres) -> None:
    """Start a cluster that was stopped as a hot standby: it takes reading sessions, and waits for a primary's log."""
    data = postgres.directory / "data"
    signal_file = data / "standby.signal"
    signal_file.touch()
    shutil.chown(signal_file, data.owner(), data.group())
    postgres.child.start()


async def reading(postgres: OwnPostgres) -> bool:
    """Say whether it takes sessions."""
    try:
        async with await psycopg.AsyncConnection.connect(postgres.url):
            return True
    except psycopg.OperationalError:
        return False


async def promote(postgres: OwnPostgres) -> None:
    """Make it a primary."""
    async with await psycopg.AsyncConnection.connect(postgres.url, autocommit=True) as connection:
        await connection.execute("SELECT pg_promote()")


async def test_a_hot_standby_is_refused(own_postgres: Callable[..., OwnPostgres]) -> None:
    """LISTEN does not work on a standby; the message says what to set."""
    postgres = own_postgres()
    postgres.stop()
    into_recovery(postgres)
    await eventually(lambda: reading(postgres))
    with pytest.raises(Unsuitable, match="point LISTENER_DATABASE_URL at the primary"):
        async with open_source(postgres.url, limit=1):
            pass
    await promote(postgres)
    async with open_source(postgres.url, limit=1) as source:
        await source.listen()
        assert await source.fence() == ()


async def test_a_primary_that_comes_back_as_a_standby_is_waited_for(
    own_postgres: Callable[..., OwnPostgres], redis_url: str, cache_prefix: str
) -> None:
    """Once a server was suitable, finding a standby is a failover's doing: the listener serves when that is over."""
    postgres = own_postgres()
    await migrate(postgres.url)
    async with Place(postgres.url, redis_url, cache_prefix).listener() as running:
        await running.serving()
        postgres.stop()
        into_recovery(postgres)
        await eventually(lambda: any("hot standby" in lost.reason for lost in running.seen(Disconnected)))
        await promote(postgres)
        await running.serving()
