"""The fixtures keep what they promise to other tests."""

from collections.abc import Callable

import psycopg
import pytest
import redis.asyncio as redis
from psycopg.rows import scalar_row

from tests.support.own_servers import OwnPostgres, OwnValkey


async def test_a_test_has_an_empty_database_of_its_own(database_url: str) -> None:
    """The database of a test has no tables of others, and its Postgres can replicate logically."""
    async with await psycopg.AsyncConnection.connect(database_url, row_factory=scalar_row) as connection:
        found = await connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        assert await found.fetchone() == 0
        level = await connection.execute("SHOW wal_level")
        assert await level.fetchone() == "logical"


@pytest.mark.parametrize("turn", [1, 2])
async def test_a_test_has_an_empty_redis_database(redis_url: str, turn: int) -> None:
    """What one test leaves in Redis, the next does not find."""
    async with redis.Redis.from_url(redis_url) as client:
        assert await client.dbsize() == 0
        await client.set("left behind", turn)


async def test_a_paused_valkey_keeps_its_connections_and_answers_when_resumed(
    own_redis: Callable[..., OwnValkey],
) -> None:
    """A paused server is silent, not gone."""
    server = own_redis()
    async with redis.Redis.from_url(server.url, socket_timeout=0.2, retry=None) as client:
        assert await client.ping()
        server.pause()
        with pytest.raises(redis.TimeoutError):
            await client.ping()
        server.resume()
        assert await client.ping()


async def test_a_valkey_comes_back_on_its_port(own_redis: Callable[..., OwnValkey]) -> None:
    """A stopped server is gone, and has the same URL when started again."""
    server = own_redis(password="a password")
    async with redis.Redis.from_url(server.url) as client:
        assert await client.ping()
    assert server.stop() == 0
    server.start()
    async with redis.Redis.from_url(server.url) as client:
        assert await client.ping()


async def test_a_postgres_survives_a_crash_and_a_pause(own_postgres: Callable[..., OwnPostgres]) -> None:
    """A killed server comes back with its data; a paused one does not answer new sessions."""
    server = own_postgres(max_connections="20")
    async with await psycopg.AsyncConnection.connect(server.url, autocommit=True) as connection:
        await connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
        await connection.execute("CHECKPOINT")
    server.kill()
    server.start()
    async with await psycopg.AsyncConnection.connect(server.url) as connection:
        kept = await connection.execute("SELECT one FROM kept")
        assert await kept.fetchone() == (1,)
    server.pause()
    with pytest.raises(psycopg.errors.ConnectionTimeout):
        await psycopg.AsyncConnection.connect(server.url, connect_timeout=2)
    server.resume()
    async with await psycopg.AsyncConnection.connect(server.url):
        pass
