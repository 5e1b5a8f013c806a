"""The Redis user of docs/operations.md may do all that the system does, and nothing else."""

import shlex
from collections.abc import AsyncIterator, Callable
from urllib.parse import urlsplit, urlunsplit

import httpx2
import pytest
import redis
from redis.asyncio import Redis

from tests.acceptance.conftest import fill, start
from tests.acceptance.system import ANOMALIES, STATS, System, layer
from tests.support.documents import DOCS, read
from tests.support.own_servers import OwnValkey
from tests.support.processes import Programs
from tests.support.waiting import eventually

SECTION = "which-redis-commands-does-it-need"
PASSWORD = "a-password-of-the-user"
USER = "anomaly-cache"


def documented_command() -> list[str]:
    """The ACL SETUSER of the page, as words."""
    (script,) = read(DOCS / "operations.md").section(SECTION, "sh")
    program, *words = shlex.split(script.replace("\\\n", " ").replace("$REDIS_PASSWORD", PASSWORD))
    assert program == "redis-cli"
    assert words[:3] == ["ACL", "SETUSER", USER]
    return words


@pytest.fixture
async def administrator(own_redis: Callable[..., OwnValkey]) -> AsyncIterator[Redis]:
    """A client that may do anything, of a server that has the documented user."""
    server = own_redis(password="the-administrator's")
    async with Redis.from_url(server.url, decode_responses=True) as client:
        await client.execute_command(*documented_command())  # type: ignore[no-untyped-call] # the library's
        yield client


@pytest.fixture
def user_url(administrator: Redis) -> str:
    """Where Redis is, for the documented user."""
    port = administrator.connection_pool.connection_kwargs["port"]
    return f"redis://{USER}:{PASSWORD}@127.0.0.1:{port}/0"


@pytest.fixture
async def user_system(programs: Programs, migrated_url: str, user_url: str) -> AsyncIterator[System]:
    """Two replicas and a listener that log in as the documented user."""
    async with System(programs, migrated_url, user_url, "") as made:
        await fill(made)
        await start(made)
        yield made


async def test_it_may_do_all_that_the_system_does(user_system: System, administrator: Redis) -> None:
    """Reads, writes, sweeps, a damaged entry, a flushed server: nothing is refused, and every layer works."""
    page = f"{ANOMALIES}?limit=5"
    await user_system.get(0, page)
    await eventually(lambda: administrator.keys("anomalies:*"))
    assert layer(await user_system.get(1, page)) == "l2"
    for status in ("INVESTIGATED", "CONFIRMED"):
        await user_system.put_status(0, "T0", status)
        assert ("T0", status) in [
            (row["transaction_id"], row["status"]) for row in (await user_system.get(1, page)).json()["anomalies"]
        ]
    assert await user_system.metric(0, "cache_acknowledgements_total", outcome="received") == 4
    assert await user_system.metric(0, "cache_acknowledgements_total", outcome="missing") == 0

    for key in await administrator.keys("anomalies:*"):
        await administrator.setrange(key, 500, "damage")
    await user_system.sql("TRUNCATE anomalies")  # and the sweep that follows
    await user_system.shows(1, page, [])
    await eventually(lambda: _swept(user_system))
    assert (await user_system.get(0, STATS)).json()["available"] is True
    url = f"{user_system.replicas[0].url}/api/v1/cache/invalidate"
    assert (await user_system.admin.post(url, json={"namespace": "anomalies"})).status_code == httpx2.codes.OK

    await administrator.flushall()
    await user_system.caching()

    refused = [entry for entry in await administrator.acl_log() if entry["username"] == USER]
    assert refused == []
    for operation in ("get", "set", "publish", "subscribe", "poll", "sweep"):
        for replica in (0, 1):
            assert await user_system.metric(replica, "cache_errors_total", operation=operation) == 0


async def _swept(system: System) -> bool:
    async with system.listeners[0].client() as client:
        return 'listener_sweeps_total{outcome="ok"} 0.0' not in (await client.get("/metrics")).text


async def test_it_may_do_nothing_else(user_url: str) -> None:
    """It touches no other key and no other channel, and neither configures nor empties the server."""
    async with Redis.from_url(user_url) as user:
        await user.set("anomalies:x", "1")
        for command in (
            ("SET", "other", "1"),
            ("GET", "anomaly"),
            ("PUBLISH", "other", "1"),
            ("FLUSHALL",),
            ("FLUSHDB",),
            ("KEYS", "*"),
            ("CONFIG", "GET", "*"),
            ("ACL", "LIST"),
            ("EVAL", "return redis.call('FLUSHALL')", "0"),
            ("EVAL", "return redis.call('GET', KEYS[1])", "1", "other"),
        ):
            with pytest.raises(redis.exceptions.ResponseError, match=r"(?i)permission|can't access|NOPERM|acl"):
                await user.execute_command(*command)  # type: ignore[no-untyped-call] # the library's
    parts = urlsplit(user_url)
    stranger = urlunsplit(parts._replace(netloc=parts.netloc.replace(PASSWORD, "wrong")))
    async with Redis.from_url(stranger) as client:
        with pytest.raises(redis.exceptions.AuthenticationError):
            await client.ping()
