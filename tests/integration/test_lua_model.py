"""The model's generation key does what the Lua functions do."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from coherence.changes import Change
from coherence.generation import GenerationKey
from coherence.keys import Names
from tests.model import lua

FAR = 4_000_000_000_000_000
"""A generation beyond Redis' time in µs."""
LEASE_MS = 60_000
TIMEOUT = 20.0


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    """A connected client."""
    async with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def names(cache_prefix: str) -> Names:
    """The names of this test's keys."""
    return Names(cache_prefix, 0)


@pytest.fixture
def key(redis: Redis, names: Names) -> GenerationKey:
    """The real thing."""
    return GenerationKey(redis, names, TIMEOUT)


async def write(redis: Redis, names: Names, generation: int, ends_ms: int) -> lua.Key:
    """Give the key a value, or none, and a lease."""
    await redis.delete(names.generation)
    if not generation:
        return lua.NO_KEY
    await redis.set(names.generation, generation, pxat=ends_ms)
    return lua.Key(generation, ends_ms)


async def read(redis: Redis, names: Names) -> lua.Key:
    """Return the key's value and when its lease ends."""
    value = await redis.get(names.generation)
    return lua.NO_KEY if value is None else lua.Key(int(value), int(await redis.pexpiretime(names.generation)))


@pytest.mark.parametrize("generation", [0, 5, FAR])
@pytest.mark.parametrize("floor", [0, 4, 5, 6, FAR, FAR + 1])
async def test_bump(redis: Redis, names: Names, key: GenerationKey, generation: int, floor: int) -> None:
    """A bump of any key, from any floor."""
    now = await key.time_us()
    before = await write(redis, names, generation, now // 1000 + LEASE_MS)
    bump = (await key.bump(floor, [Change(None, "test")])).bump
    expected = lua.bump(before, floor, round(bump.made_at * 1e6))
    assert (bump.previous, bump.generation) == (expected.previous, expected.generation)
    assert await read(redis, names) == expected.key


@pytest.mark.parametrize("generation", [0, 5, FAR])
@pytest.mark.parametrize("floor", [0, 5, 6, FAR])
@pytest.mark.parametrize(("ago_ms", "age_ms"), [(0, 0), (20_000, 15_000), (10_000, 30_000), (LEASE_MS + 1, 0)])
@pytest.mark.parametrize("same_server", [True, False])
async def test_renew(
    redis: Redis,
    names: Names,
    key: GenerationKey,
    generation: int,
    floor: int,
    ago_ms: int,
    age_ms: int,
    same_server: bool,
) -> None:
    """A renewal of any key, from any floor, in time or late, by this clock and server or another."""
    now = await key.time_us()
    before = await write(redis, names, generation, now // 1000 + 2 * LEASE_MS)
    server = await key.server_id() if same_server else f"run_id:{0:040}"
    t0 = now - ago_ms * 1000
    renewed = await key.renew(t0, age_ms / 1000, LEASE_MS / 1000, floor, namespaces=["a"], server=server)
    expected = lua.renew(
        before,
        t0=t0 // 1000,
        age=age_ms,
        lease=LEASE_MS,
        floor=floor,
        now=now // 1000,
        fresh=now,
        same_server=same_server,
    )
    after = await read(redis, names)
    assert renewed.outcome == expected.outcome
    assert after.ends == expected.key.ends
    if expected.outcome == "made" and floor < now:
        # Redis' clock has gone on since we looked.
        assert expected.generation <= after.generation == renewed.generation <= await key.time_us() + 1
    else:
        assert (after.generation, renewed.generation) == (expected.key.generation, expected.generation)
