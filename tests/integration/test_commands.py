"""Redis commands that travel together: each gets its own reply, error or time-out."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from coherence.commands import AT_ONCE, Commands, Script
from coherence.redis_client import RedisUnavailable, connect
from coherence.settings import CoherenceSettings
from tests.support.own_servers import OwnValkey


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    """A client of the shared Redis."""
    client = connect(
        CoherenceSettings.model_validate({"redis_url": redis_url, "redis_timeout_ms": 10_000}), connections=5
    )
    yield client
    await client.aclose()


@asynccontextmanager
async def commands_of(redis: Redis, timeout: float) -> AsyncIterator[Commands]:
    """Commands, ended afterwards."""
    commands = Commands(redis, timeout)
    try:
        yield commands
    finally:
        await commands.close()


async def test_replies_come_to_those_who_asked(redis: Redis, cache_prefix: str) -> None:
    """Hundreds at once, in few round trips, and none gets another's."""
    async with commands_of(redis, 20.0) as commands:
        await asyncio.gather(*(commands.run("SET", f"{cache_prefix}{n}", n, "PX", 60_000) for n in range(300)))
        trips = len(commands._trips)
        found = await asyncio.gather(*(commands.run("GET", f"{cache_prefix}{n}") for n in range(300)))
        assert found == [b"%d" % n for n in range(300)]
        assert trips <= AT_ONCE
        assert len(commands._idle) <= AT_ONCE


@pytest.mark.parametrize("callers", [1, AT_ONCE, 3 * AT_ONCE])
async def test_none_is_left_behind(redis: Redis, callers: int) -> None:
    """A command that comes in the very moment in which a round trip ends is sent, too."""
    async with commands_of(redis, 60.0) as commands:

        async def ask_on() -> None:
            for number in range(300):
                assert await commands.run("ECHO", number) == b"%d" % number

        async with asyncio.timeout(50):
            await asyncio.gather(*(ask_on() for _ in range(callers)))


async def test_an_error_is_that_of_one_command(redis: Redis, cache_prefix: str) -> None:
    """Its neighbours have their replies."""
    async with commands_of(redis, 20.0) as commands:
        await commands.run("LPUSH", f"{cache_prefix}list", "x")
        wrong = asyncio.create_task(commands.run("GET", f"{cache_prefix}list"))
        assert await commands.run("ECHO", "hello") == b"hello"
        with pytest.raises(RedisUnavailable) as raised:
            await wrong
    assert isinstance(raised.value.__cause__, ResponseError)


async def test_a_server_that_hangs_costs_each_command_its_time(own_redis: Callable[..., OwnValkey]) -> None:
    """All that wait fail in time, one that was given up harms no other, and the server is asked again afterwards."""
    server = own_redis()
    client = connect(CoherenceSettings.model_validate({"redis_url": server.url}), connections=5)
    async with commands_of(client, 0.5) as commands:
        assert await commands.run("ECHO", "before") == b"before"
        server.pause()
        given_up = asyncio.create_task(commands.run("ECHO", "given up"))
        await asyncio.sleep(0)
        given_up.cancel()
        failed = await asyncio.gather(*(commands.run("ECHO", n) for n in range(20)), return_exceptions=True)
        assert all(isinstance(each, RedisUnavailable) for each in failed)
        server.resume()
        commands._timeout = 20.0
        found = await asyncio.gather(*(commands.run("ECHO", n) for n in range(20)))
        assert found == [b"%d" % n for n in range(20)]
    await client.aclose()


async def test_a_connection_that_redis_has_closed_is_made_anew(own_redis: Callable[..., OwnValkey]) -> None:
    """A restart, a failover or an idle time-out between two commands costs neither of them."""
    client = connect(CoherenceSettings.model_validate({"redis_url": own_redis().url}), connections=5)
    async with commands_of(client, 20.0) as commands:
        first = await commands.run("CLIENT", "ID")
        await client.client_kill_filter(_type="normal", skipme=True)
        assert await commands.run("CLIENT", "ID") > first
    await client.aclose()


async def test_a_script_is_told_to_a_server_that_does_not_know_it(redis: Redis, cache_prefix: str) -> None:
    """A Redis that was started anew, or flushed of its scripts, gets the text."""
    async with commands_of(redis, 20.0) as commands:
        script = Script(commands, "take_turn")
        await redis.script_flush()
        key = (f"{cache_prefix}turn",)
        assert await script.run(key, b"1 mine", 60_000, b"") is None
        assert await script.run(key, b"2 other", 60_000, b"") == b"1 mine"
        assert await script.run(key, b"2 other", 60_000, b"1 mine") is None
