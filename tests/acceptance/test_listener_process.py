"""The listener as a process: signals, exit codes, take-overs, and what it says of itself."""

import asyncio
import signal
import sys
import time
from collections.abc import Callable

import httpx2
import psycopg
import pytest
from redis.asyncio import Redis

from anomaly_cache.servers.ports import free_port
from tests.support.own_servers import OwnPostgres, OwnValkey
from tests.support.processes import Program, Programs
from tests.support.waiting import eventually

INSERT = "INSERT INTO anomalies (transaction_id, account_id, amount, currency, score) VALUES (%s, 'a', 1, 'EUR', 0.5)"
TAKE_OVER_SECONDS = 1.0


@pytest.fixture
def settings(migrated_url: str, redis_url: str, cache_prefix: str) -> dict[str, str]:
    """The settings of the test's listeners."""
    return {"DATABASE_URL": migrated_url, "REDIS_URL": redis_url, "CACHE_PREFIX": cache_prefix}


async def report(program: Program) -> tuple[int, dict[str, object]]:
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


async def is_in(program: Program, wanted: str) -> bool:
    """Say whether the program is in that role, ready or not."""
    return await role(program) == wanted


async def renewed_after(redis: Redis, key: str, before: int) -> bool:
    """Say whether the lease ends later than at `before`, in ms of the epoch."""
    return int(await redis.pexpiretime(key)) > before


async def test_says_what_it_does(programs: Programs, settings: dict[str, str]) -> None:
    """It answers for its health, exports metrics and logs the invalidations that operators look for."""
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


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signal_ends_it_promptly(programs: Programs, settings: dict[str, str], number: signal.Signals) -> None:
    """SIGTERM and SIGINT end it with 0, its session with it, and the lease goes on."""
    listener = await programs.listener(wait=True, **settings)
    started = time.monotonic()
    listener.child.send(number)
    assert await listener.ended() == 0
    assert time.monotonic() - started < 2
    redis = Redis.from_url(settings["REDIS_URL"])
    assert await redis.exists(settings["CACHE_PREFIX"] + "coherence:generation")
    await redis.aclose()


async def test_standby_serves_within_a_second_of_a_kill(programs: Programs, settings: dict[str, str]) -> None:
    """SIGKILL of the active one makes the standby active, so soon that the lease does not run out."""
    active = await programs.listener(wait=True, **settings)
    standby = await programs.listener(wait=True, **settings)
    assert (await role(active), await role(standby)) == ("active", "standby")
    redis = Redis.from_url(settings["REDIS_URL"])
    key = settings["CACHE_PREFIX"] + "coherence:generation"
    active.kill()
    killed = time.monotonic()
    before = int(await redis.pexpiretime(key))
    await eventually(lambda: renewed_after(redis, key, before), within=TAKE_OVER_SECONDS)
    assert time.monotonic() - killed < TAKE_OVER_SECONDS
    assert await role(standby) == "active"
    active.start_again()
    await active.ready()
    assert await role(active) == "standby"
    await redis.aclose()


async def test_standby_serves_at_once_after_a_stop(programs: Programs, settings: dict[str, str]) -> None:
    """A rolling restart has no moment without a lease."""
    active = await programs.listener(wait=True, **settings)
    standby = await programs.listener(wait=True, **settings)
    await active.stop()
    await eventually(becomes(standby, "active"), within=TAKE_OVER_SECONDS)


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


async def test_deployments_in_one_database_do_not_collide(programs: Programs, settings: dict[str, str]) -> None:
    """Another prefix, or another Redis, is another deployment, with an active listener of its own."""
    one = await programs.listener(wait=True, **settings)
    other = await programs.listener(wait=True, **{**settings, "CACHE_PREFIX": settings["CACHE_PREFIX"] + "other:"})
    assert (await role(one), await role(other)) == ("active", "active")
    redis = Redis.from_url(settings["REDIS_URL"])
    await redis.delete(settings["CACHE_PREFIX"] + "other:coherence:generation")
    await redis.aclose()


async def test_start_order_does_not_matter(
    programs: Programs, migrated_url: str, own_redis: Callable[..., OwnValkey], cache_prefix: str
) -> None:
    """Started without Redis it lives, is not ready, says why, and is ready once Redis is there."""
    valkey = own_redis()
    valkey.stop()
    listener = await programs.listener(
        wait=False, DATABASE_URL=migrated_url, REDIS_URL=valkey.url, CACHE_PREFIX=cache_prefix
    )
    await listener.logged("lease withheld", within=15)
    async with listener.client() as client:
        assert (await client.get("/livez")).status_code == 200
        response = await client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["problem"]["kind"] == "redis"
    valkey.start()
    await listener.ready(within=2)


async def test_postgres_may_come_later_and_go(
    programs: Programs, own_postgres: Callable[..., OwnPostgres], redis_url: str, cache_prefix: str
) -> None:
    """Started without Postgres it lives and waits; a Postgres that was restarted is found again."""
    postgres = own_postgres()
    postgres.stop()
    listener = await programs.listener(
        wait=False, DATABASE_URL=postgres.url, REDIS_URL=redis_url, CACHE_PREFIX=cache_prefix
    )
    await listener.logged("listener not connected to postgres", within=15)
    status, body = await report(listener)
    assert (status, body["role"]) == (503, "connecting")
    postgres.start()
    # The database is empty: there is a session, but nothing to vouch for.
    await listener.logged("lease withheld", obstacle="triggers")
    postgres.stop()
    await eventually(lambda: is_in(listener, "connecting"))
    postgres.start()
    await eventually(lambda: is_in(listener, "active"))


async def test_hung_postgres_does_not_delay_the_end(
    programs: Programs, own_postgres: Callable[..., OwnPostgres], redis_url: str, cache_prefix: str
) -> None:
    """SIGTERM ends it promptly while Postgres answers nothing."""
    postgres = own_postgres()
    listener = await programs.listener(
        wait=False, DATABASE_URL=postgres.url, REDIS_URL=redis_url, CACHE_PREFIX=cache_prefix
    )
    await listener.logged("lease withheld", within=15)
    postgres.pause()
    try:
        await listener.logged("listener not connected to postgres", within=5)
        started = time.monotonic()
        await listener.stop()
        assert time.monotonic() - started < 3
    finally:
        postgres.resume()


async def test_bad_settings_are_named(programs: Programs) -> None:
    """A missing and a wrong setting are named, a line each, without secrets; the exit code is 2."""
    listener = await programs.listener(
        wait=False, LISTENER_DATABASE_URL="postgresql://me:hidden@host:port:what", CACHE_MAX_STALENESS_SECONDS="0.1"
    )
    assert await listener.ended() == 2
    lines = listener.child.last_lines().splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        "CACHE_MAX_STALENESS_SECONDS",
        "DATABASE_URL",
        "LISTENER_DATABASE_URL",
    ]
    assert "hidden" not in "".join(lines)


async def test_taken_health_port_is_named(programs: Programs, settings: dict[str, str]) -> None:
    """Two listeners on one health port: the second ends with 1 and says which setting is wrong."""
    port = str(free_port())
    await programs.listener(wait=True, LISTENER_HEALTH_PORT=port, **settings)
    second = await programs.listener(wait=False, LISTENER_HEALTH_PORT=port, **settings)
    assert await second.ended() == 1
    assert second.logs("LISTENER_HEALTH_PORT cannot be used")


async def test_help_tells_the_settings() -> None:
    """`--help` is worth reading."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "listener", "--help", stdout=asyncio.subprocess.PIPE
    )
    text, _ = await process.communicate()
    assert process.returncode == 0
    assert b"LISTENER_DATABASE_URL" in text
