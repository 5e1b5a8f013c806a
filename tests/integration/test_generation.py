"""The two Lua functions and the poll's reading, in a real Redis."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from coherence.changes import GENERATION_LIMIT, Bump, Change
from coherence.generation import GenerationKey
from coherence.keys import Names
from coherence.redis_client import RedisUnavailable, connect, database_of
from coherence.settings import CoherenceSettings
from tests.support.own_servers import OwnValkey
from tests.support.waiting import eventually

CHANGES = [Change("anomalies", "update", 3), Change(None, "gap", 0)]
LEASE = 30.0
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
NAMESPACES = ("anomalies", "transactions")


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    """A client of the test's own database."""
    settings = CoherenceSettings.model_validate({"redis_url": redis_url, "redis_timeout_ms": 5000})
    client = connect(settings, connections=50)
    yield client
    await client.aclose()


@pytest.fixture
def names(redis: Redis, cache_prefix: str) -> Names:
    """The test's own names."""
    return Names(cache_prefix, database_of(redis))


@pytest.fixture
def key(redis: Redis, names: Names) -> GenerationKey:
    """The generation key."""
    return GenerationKey(redis, names, timeout=5.0)


@pytest.fixture
async def messages(redis: Redis, names: Names) -> AsyncIterator[list[bytes]]:
    """The messages of the changes' channel, as they come."""
    heard: list[bytes] = []
    pubsub = redis.pubsub()
    await pubsub.subscribe(names.changes)
    assert (await pubsub.get_message(timeout=5.0) or {})["type"] == "subscribe"

    async def read() -> None:
        while True:
            message = await pubsub.get_message(timeout=None)
            if message is not None:
                heard.append(message["data"])

    task = asyncio.create_task(read())
    yield heard
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await pubsub.aclose()  # type: ignore[no-untyped-call] # the client's types stop here


async def lease(key: GenerationKey, floor: int = 0) -> int:
    """Give a lease, and return the generation."""
    renewed = await key.renew(await key.time_us(), 0.0, LEASE, floor, namespaces=NAMESPACES)
    assert renewed.granted
    return renewed.generation


async def told(messages: list[bytes], count: int) -> list[Bump]:
    """Wait for so many messages, and return what they say."""
    await eventually(lambda: len(messages) >= count)
    return [Bump.from_wire(message) for message in messages]


# -- bump


async def test_a_bump_carries_the_trace_that_it_is_made_in(redis: Redis, names: Names, messages: list[bytes]) -> None:
    """It is asked for once a bump, and what is no trace context never gets into the message."""
    traces = iter([TRACE, '","generation":1,"x":"', ""])
    key = GenerationKey(redis, names, 5.0, lambda: next(traces))
    made = [(await key.bump(0, CHANGES)).bump for _ in range(3)]
    await eventually(lambda: len(messages) == 3)
    assert [Bump.from_wire(message) for message in messages] == made
    assert [bump.trace for bump in made] == [TRACE, "", ""]
    assert [b"trace" in message for message in messages] == [True, False, False]


async def test_a_bump_makes_a_later_generation_and_keeps_the_lease(
    key: GenerationKey, redis: Redis, names: Names
) -> None:
    """The generation follows Redis' clock in µs; the key's TTL goes on as if nothing had been."""
    first = await lease(key)
    before = await redis.pttl(names.generation)
    started = await key.time_us()
    bumped = await key.bump(0, CHANGES)
    assert bumped.bump.previous == first
    assert started < bumped.bump.generation < started + 5_000_000
    assert int(await redis.get(names.generation) or 0) == bumped.bump.generation
    assert before - 5000 < await redis.pttl(names.generation) <= before
    assert bumped.bump.made_at == pytest.approx(started / 1e6, abs=5)


async def test_a_bump_gives_no_lease(key: GenerationKey, redis: Redis, names: Names) -> None:
    """A key that is missing stays missing, and one without an expiry stays without: only a renewal vouches."""
    bumped = await key.bump(0, CHANGES)
    assert bumped.bump.previous == 0
    assert not await redis.exists(names.generation)
    await redis.set(names.generation, 5)
    await key.bump(0, CHANGES)
    assert await redis.pttl(names.generation) == -1
    assert (await key.read()).pttl == 0


async def test_bumps_without_a_key_go_up_all_the_same(key: GenerationKey) -> None:
    """No generation is given twice by a clock that goes on."""
    made = [(await key.bump(0, CHANGES)).bump.generation for _ in range(20)]
    assert made == sorted(set(made))


async def test_a_bump_goes_above_the_floor(key: GenerationKey) -> None:
    """A caller that knows of a later generation than Redis lifts it above."""
    floor = await lease(key) + 10**12
    assert (await key.bump(floor, CHANGES)).bump.generation == floor + 1
    assert (await key.read()).generation == floor + 1


async def test_a_bump_of_a_redis_that_forgot_follows_nothing(key: GenerationKey, messages: list[bytes]) -> None:
    """Redis is below what the caller knows: it lost bumps, so no cache may take this one for the next of its own.

    A cache that never heard of the lost ones would otherwise miss their changes for good: the renewal finds the
    generation above its floor, and mends nothing.
    """
    remembered = await lease(key)
    lost = remembered + 10**12
    bumped = await key.bump(lost, CHANGES)
    assert bumped.bump.previous == 0
    assert (await told(messages, 2))[-1].previous == 0
    assert (await key.bump(bumped.bump.generation, CHANGES)).bump.previous == bumped.bump.generation


async def test_concurrent_bumps_are_strictly_increasing_and_chained(key: GenerationKey, messages: list[bytes]) -> None:
    """Many callers at once make one chain: each bump follows the one before, and each is told once, in order."""
    first = await lease(key)
    bumps = await asyncio.gather(*(key.bump(0, CHANGES) for _ in range(200)))
    chain = sorted((bumped.bump for bumped in bumps), key=lambda bump: bump.generation)
    assert [bump.previous for bump in chain] == [first, *(bump.generation for bump in chain[:-1])]
    assert (await told(messages, 201))[1:] == chain


async def test_one_message_for_a_bump_says_all_of_it(key: GenerationKey, names: Names, messages: list[bytes]) -> None:
    """What is published is what the caller is told, with the request to acknowledge or without."""
    await lease(key)
    await told(messages, 1)
    for acknowledge in (False, True):
        messages.clear()
        bumped = await key.bump(0, CHANGES, acknowledge=acknowledge)
        assert await told(messages, 1) == [bumped.bump]
        assert bumped.bump == Bump(
            bumped.bump.previous,
            bumped.bump.generation,
            tuple(CHANGES),
            bumped.bump.made_at,
            names.database,
            acknowledge,
        )
    assert len(messages) == 1


@pytest.mark.parametrize(
    "namespace",
    ['quote"back\\slash', "percent %s %.0f", "line\nbreak\x00nul", "snow☃man", "x" * 9000],
    ids=["quotes", "percents", "controls", "beyond ASCII", "long"],
)
async def test_any_namespace_gets_through(key: GenerationKey, messages: list[bytes], namespace: str) -> None:
    """Nothing in a name breaks the message."""
    bumped = await key.bump(0, [Change(namespace, "update")])
    assert await told(messages, 1) == [bumped.bump]


async def test_a_bump_counts_who_acknowledges(key: GenerationKey, redis: Redis, names: Names) -> None:
    """The processes on the acknowledgements' channel are those to wait for."""
    assert (await key.bump(0, CHANGES)).acknowledgers == 0
    pubsub = redis.pubsub()
    await pubsub.subscribe(names.acknowledgements)
    await pubsub.get_message(timeout=5.0)
    assert (await key.bump(0, CHANGES)).acknowledgers == 1
    await pubsub.aclose()  # type: ignore[no-untyped-call] # the client's types stop here


@pytest.mark.parametrize("floor", [GENERATION_LIMIT - 2, GENERATION_LIMIT - 1])
async def test_generations_end(key: GenerationKey, floor: int) -> None:
    """The last that Lua counts without a gap can be made; after it Redis refuses rather than give one twice."""
    if floor == GENERATION_LIMIT - 2:
        assert (await key.bump(floor, CHANGES)).bump.generation == GENERATION_LIMIT - 1
    else:
        with pytest.raises(RedisUnavailable, match="used up"):
            await key.bump(floor, CHANGES)
        with pytest.raises(RedisUnavailable, match="used up"):
            await lease(key, floor)


# -- what may lie under the key

GARBAGE: list[Any] = [
    b"garbage",
    b"",
    b"0",
    b"-5",
    b"12.5",
    b"1e15",
    b" 12",
    b"0x10",
    b"9" * 400,
    str(GENERATION_LIMIT).encode(),
    ["a list"],
    {"a": "hash"},
    {"a set"},
]


async def lay(redis: Redis, name: str, value: Any) -> None:
    """Put a value of whatever type under a key."""
    match value:
        case bytes():
            await redis.set(name, value)
        case list():
            await redis.rpush(name, *value)
        case dict():
            await redis.hset(name, mapping=value)
        case set():
            await redis.sadd(name, *value)


@pytest.mark.parametrize("value", GARBAGE, ids=lambda value: repr(value)[:20])
async def test_garbage_is_no_generation_and_is_repaired_by_a_renewal(
    key: GenerationKey, redis: Redis, names: Names, messages: list[bytes], value: object
) -> None:
    """It is not read, a bump leaves it, and a renewal puts a new generation in its place: everything changed."""
    await lay(redis, names.generation, value)
    await redis.pexpire(names.generation, 60_000)
    assert (await key.read()).generation is None
    kind = await redis.type(names.generation)
    bumped = await key.bump(0, CHANGES)
    assert bumped.bump.previous == 0
    assert await redis.type(names.generation) == kind
    assert (await key.read()).generation is None
    renewed = await key.renew(await key.time_us(), 0.0, LEASE, bumped.bump.generation, namespaces=NAMESPACES)
    assert renewed.outcome == "made"
    assert renewed.generation > bumped.bump.generation
    reading = await key.read()
    assert reading.generation == renewed.generation
    assert 0 < reading.pttl <= LEASE
    made = (await told(messages, 2))[-1]
    assert (made.previous, made.generation, made.changes) == (0, renewed.generation, (Change(None, "lease", 0),))


# -- renew


async def test_a_renewal_keeps_the_generation_and_tells_nobody(
    key: GenerationKey, redis: Redis, names: Names, messages: list[bytes]
) -> None:
    """It moves the end of the lease, and no cache has anything to do."""
    generation = await lease(key)
    await redis.pexpire(names.generation, 1000)
    renewed = await key.renew(await key.time_us(), 0.0, LEASE, generation, namespaces=NAMESPACES)
    assert (renewed.outcome, renewed.generation) == ("renewed", generation)
    assert 1 < renewed.ttl <= LEASE
    bumped = await key.bump(0, CHANGES)
    assert [bump.generation for bump in await told(messages, 2)] == [generation, bumped.bump.generation]


async def test_a_lease_ends_at_an_absolute_moment(key: GenerationKey, redis: Redis, names: Names) -> None:
    """It is counted from the reading of Redis' clock, however long the renewal took to come."""
    t0 = await key.time_us()
    await key.renew(t0, 0.0, LEASE, 0, namespaces=NAMESPACES)
    assert await redis.pexpiretime(names.generation) == t0 // 1000 + LEASE * 1000
    earlier = t0 - 10_000_000
    renewed = await key.renew(earlier, 10.0, LEASE, 0, namespaces=NAMESPACES)
    assert await redis.pexpiretime(names.generation) == earlier // 1000 + LEASE * 1000
    assert renewed.ttl <= LEASE - 10


async def test_a_renewal_of_a_missing_key_is_a_change_of_everything(key: GenerationKey, messages: list[bytes]) -> None:
    """While there was no lease anything may have happened."""
    started = await key.time_us()
    renewed = await key.renew(started, 0.0, LEASE, 0, namespaces=NAMESPACES)
    assert renewed.outcome == "made"
    assert renewed.generation > started
    (made,) = await told(messages, 1)
    assert (made.previous, made.generation, made.changes) == (0, renewed.generation, (Change(None, "lease", 0),))
    assert not made.acknowledge


async def test_a_redis_that_forgot_is_lifted_above_the_floor(key: GenerationKey, messages: list[bytes]) -> None:
    """A generation below what the listener has seen lost bumps: a new one, and everything changed."""
    generation = await lease(key)
    floor = generation + 10**12
    renewed = await key.renew(await key.time_us(), 0.0, LEASE, floor, namespaces=NAMESPACES)
    assert (renewed.outcome, renewed.generation) == ("made", floor + 1)
    assert (await told(messages, 2))[-1].previous == 0
    assert (await key.renew(await key.time_us(), 0.0, LEASE, floor + 1, namespaces=NAMESPACES)).outcome == "renewed"


async def test_a_renewal_that_comes_too_late_gives_nothing(key: GenerationKey, redis: Redis, names: Names) -> None:
    """What was proven longer than a lease ago proves nothing: the key is left as it is, missing or not."""
    late = await key.time_us() - int(LEASE * 1e6) - 1000
    assert (await key.renew(late, LEASE, LEASE, 0, namespaces=NAMESPACES)).outcome == "late"
    assert not await redis.exists(names.generation)
    generation = await lease(key)
    before = await redis.pexpiretime(names.generation)
    renewed = await key.renew(late, LEASE, LEASE, generation + 10**12, namespaces=NAMESPACES)
    assert (renewed.outcome, renewed.granted, renewed.ttl) == ("late", False, 0)
    assert await redis.pexpiretime(names.generation) == before
    assert (await key.read()).generation == generation


async def test_a_clock_that_is_not_the_one_that_was_read_gives_nothing(
    key: GenerationKey, redis: Redis, names: Names
) -> None:
    """Less time has passed by Redis' clock than by the listener's: it was set back, or is another's."""
    generation = await lease(key)
    before = await redis.pexpiretime(names.generation)
    renewed = await key.renew(await key.time_us(), 10.0, LEASE, generation, namespaces=NAMESPACES)
    assert (renewed.outcome, renewed.granted) == ("clock", False)
    assert await redis.pexpiretime(names.generation) == before
    ahead = await key.time_us() + 10_000_000
    assert (await key.renew(ahead, 0.0, LEASE, generation, namespaces=NAMESPACES)).outcome == "clock"


# -- the reading


async def test_a_reading_is_of_one_moment(key: GenerationKey) -> None:
    """Time, generation and the lease's rest come together; without a key there is neither of the two."""
    reading = await key.read()
    assert (reading.generation, reading.pttl) == (None, 0)
    generation = await lease(key)
    before = await key.time_us()
    reading = await key.read()
    assert reading.generation == generation
    assert before / 1e6 <= reading.time <= before / 1e6 + 5
    assert 0 < reading.pttl <= LEASE


async def test_a_redis_that_is_not_there_is_unavailable() -> None:
    """Every call ends in the same way."""
    redis = connect(CoherenceSettings.model_validate({"redis_url": "redis://127.0.0.1:1"}), connections=1)
    nowhere = GenerationKey(redis, Names(), timeout=5.0)
    for call in (
        nowhere.bump(0, CHANGES),
        nowhere.renew(0, 0.0, LEASE, 0, namespaces=NAMESPACES),
        nowhere.time_us(),
        nowhere.read(),
    ):
        with pytest.raises(RedisUnavailable):
            await call


async def test_a_lease_is_for_the_namespaces_that_are_watched(key: GenerationKey, redis: Redis, names: Names) -> None:
    """What the lease is for ends with it; without it, or with nonsense in its place, it is for nothing."""
    await lease(key)
    assert (await key.read()).namespaces == frozenset(NAMESPACES)
    assert abs(await redis.pexpiretime(names.vouched) - await redis.pexpiretime(names.generation)) <= 1
    await redis.delete(names.vouched)
    assert (await key.read()).namespaces == frozenset()
    await redis.rpush(names.vouched, "anomalies")
    assert (await key.read()).namespaces == frozenset()
    await lease(key)
    assert (await key.read()).namespaces == frozenset(NAMESPACES)


async def test_all_that_a_proof_needs_goes_through_one_connection(redis: Redis, redis_url: str, names: Names) -> None:
    """Also at once: with two, a failover could have a lease given by another server than was told of the changes."""
    url = f"{redis_url}{'&' if '?' in redis_url else '?'}client_name={names.generation}"
    protocol = connect(CoherenceSettings.model_validate({"redis_url": url, "redis_timeout_ms": 10_000}), connections=9)
    key = GenerationKey(protocol, names, timeout=20.0)
    asked = [asyncio.create_task(lease(key))]
    for _ in range(20):
        await asyncio.sleep(0)  # what was asked is under way
        asked += [asyncio.create_task(each) for each in (key.time_us(), lease(key))]
    await asyncio.gather(*asked)
    ours = [client for client in await redis.client_list() if client["name"] == names.generation]
    await protocol.aclose()
    assert len(ours) == 1


async def test_no_lease_from_a_server_that_is_another(key: GenerationKey, redis: Redis, names: Names) -> None:
    """A listener that has talked to one server gets no lease from the next, which may have lost what the first knew."""
    server = await key.server_id()
    assert server
    elsewhere = await key.renew(await key.time_us(), 0.0, LEASE, 0, namespaces=NAMESPACES, server="run_id:another")
    assert (elsewhere.outcome, elsewhere.granted) == ("server", False)
    assert not await redis.exists(names.generation)
    assert (await key.renew(await key.time_us(), 0.0, LEASE, 0, namespaces=NAMESPACES, server=server)).granted


async def test_no_lease_from_a_server_that_was_a_replica_in_between(
    own_redis: Callable[..., OwnValkey], names: Names
) -> None:
    """What followed another primary for a moment took its keys, and may have lost what it was told."""
    async with Redis.from_url(own_redis().url) as redis:
        key = GenerationKey(redis, names, timeout=5.0)
        server = await key.server_id()
        assert (await key.renew(await key.time_us(), 0.0, LEASE, 0, namespaces=NAMESPACES, server=server)).granted
        await redis.slaveof("127.0.0.1", 1)
        await redis.slaveof()
        refused = await key.renew(await key.time_us(), 0.0, LEASE, 0, namespaces=NAMESPACES, server=server)
    assert refused.outcome == "server"
