"""The listener as a process: signals, exit codes, take-overs, and what it says of itself."""

from collections.abc import Callable
from typing import Any

import httpx2
import psycopg
import pytest
from redis.asyncio import Redis

from anomaly_cache.migrate import migrate
from tests.support.own_servers import OwnPostgres, OwnValkey
from tests.support.processes import Program, Programs
from tests.support.waiting import eventually

INSERT = "INSERT INTO anomalies (transaction_id, account_id, amount, currency, score) VALUES (%s, 'a', 1, 'EUR', 0.5)"
TAKE_OVER_SECONDS = 1.0


@pytest.fixture
def nursery() -> None:
    """None: here programs start as their users start them."""


@pytest.fixture
def settings(migrated_url: str, redis_url: str, cache_prefix: str) -> dict[str, str]:
    """The settings of the test's listeners."""
    return {"DATABASE_URL": migrated_url, "REDIS_URL": redis_url, "CACHE_PREFIX": cache_prefix}


async def report(program: Program) -> tuple[int, dict[str, Any]]:
    """Return what `/readyz` answers."""
    async with program.client() as client:
        response = await client.get("/readyz")
        return response.status_code, response.json()


async def role(program: Program) -> object:
    """Return what the program is doing."""
    return (await report(program))[1]["role"]


def becomes(program: Program, wanted: str) -> Callable[[], object]:
    """Return a look at whether the program is ready, as `wanted`."""

    async def look() -> bool:
        status, body = await report(program)
        return status == httpx2.codes.OK and body["role"] == wanted

    return look


async def obstacle(program: Program) -> object:
    """Return what `/readyz` says is in the way."""
    status, body = await report(program)
    assert status == httpx2.codes.SERVICE_UNAVAILABLE
    return body["problem"]["kind"]


async def sees(program: Program, wanted: str) -> bool:
    """Say whether that is in the way."""
    return await obstacle(program) == wanted


async def renewed_after(redis: Redis, key: str, before: int) -> bool:
    """Say whether the lease ends later than at `before`, in ms of the epoch."""
    return int(await redis.pexpiretime(key)) > before


async def test_says_what_it_does_and_ends_at_a_signal(programs: Programs, settings: dict[str, str]) -> None:
    """It answers for its health, exports metrics, and logs the invalidations that operators look for.

    SIGTERM ends it promptly with 0; what its lease vouches for stays true, so the lease goes on.
    """
    listener = await programs.listener(wait=True, **settings)
    status, body = await report(listener)
    assert (status, body["role"], body["status"]) == (200, "active", "ready")
    with psycopg.connect(settings["DATABASE_URL"], autocommit=True) as writer:
        writer.execute(INSERT, ["t1"])
    line = await listener.logged("cache invalidated", namespace="anomalies")
    assert line["cause"] == "insert"
    assert line["notifications"] == 1
    assert isinstance(line["generation"], int)
    async with listener.client() as client:
        assert (await client.get("/livez")).status_code == 200
        metrics = (await client.get("/metrics")).text
    assert "listener_active 1.0" in metrics
    assert 'listener_notifications_total{namespace="anomalies",operation="insert"} 1.0' in metrics
    assert 'listener_invalidations_total{cause="insert",namespace="anomalies"} 1.0' in metrics

    await listener.stop(within=2)
    async with Redis.from_url(settings["REDIS_URL"]) as redis:
        assert await redis.exists(settings["CACHE_PREFIX"] + "coherence:generation")


async def test_standby_serves_within_a_second(programs: Programs, settings: dict[str, str]) -> None:
    """When the active one is killed, or stopped, the standby serves within a second: the lease does not run out."""
    active = await programs.listener(wait=True, **settings)
    standby = await programs.listener(wait=True, **settings)
    assert (await role(active), await role(standby)) == ("active", "standby")
    async with Redis.from_url(settings["REDIS_URL"]) as redis:
        key = settings["CACHE_PREFIX"] + "coherence:generation"
        active.kill()
        before = int(await redis.pexpiretime(key))
        await eventually(lambda: renewed_after(redis, key, before), within=TAKE_OVER_SECONDS)
        assert await role(standby) == "active"

        active.start_again()
        await active.ready()
        assert await role(active) == "standby"
        await standby.stop()
        before = int(await redis.pexpiretime(key))
        await eventually(lambda: renewed_after(redis, key, before), within=TAKE_OVER_SECONDS)
        assert await role(active) == "active"


async def test_standby_replaces_a_stopped_one(programs: Programs, settings: dict[str, str]) -> None:
    """A SIGSTOPped active one keeps its lock; the standby serves all the same, and the other one is on standby then."""
    active = await programs.listener(wait=True, **settings)
    standby = await programs.listener(wait=True, **settings)
    active.pause()
    await eventually(becomes(standby, "active"), within=6)
    await standby.logged("stuck listener's session ended")
    with psycopg.connect(settings["DATABASE_URL"], autocommit=True) as writer:
        writer.execute(INSERT, ["t1"])
    await standby.logged("cache invalidated", namespace="anomalies")
    active.resume()
    await eventually(becomes(active, "standby"))
    assert await role(standby) == "active"


async def test_start_order_does_not_matter(
    programs: Programs,
    own_postgres: Callable[..., OwnPostgres],
    own_redis: Callable[..., OwnValkey],
) -> None:
    """It starts before Postgres, Redis and the schema, says what it waits for, and serves when all is there.

    SIGTERM ends it promptly while Postgres answers nothing.
    """
    postgres, valkey = own_postgres(), own_redis()
    postgres.stop()
    valkey.stop()
    listener = await programs.listener(wait=False, DATABASE_URL=postgres.url, REDIS_URL=valkey.url)
    await listener.logged("listener not connected to postgres", within=15)
    async with listener.client() as client:
        assert (await client.get("/livez")).status_code == 200
    assert await obstacle(listener) == "postgres"
    postgres.start()
    await eventually(lambda: sees(listener, "redis"))
    valkey.start()
    await eventually(lambda: sees(listener, "triggers"))
    await migrate(postgres.url)
    await listener.ready(within=2)

    postgres.pause()
    await eventually(lambda: sees(listener, "postgres"))
    await listener.stop(within=3)
