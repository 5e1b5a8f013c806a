"""Redis loses, forgets, hangs or lies: no old answer, no error, and the cache is back by itself."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import pytest

from tests.acceptance.conftest import fill
from tests.acceptance.system import ANOMALIES, System, layer, view
from tests.support.own_servers import OwnValkey
from tests.support.processes import Programs
from tests.support.waiting import eventually

PAGE = f"{ANOMALIES}?limit=3"


@pytest.fixture
def valkey(own_redis: Callable[..., OwnValkey]) -> OwnValkey:
    """A Valkey of the test's own."""
    return own_redis()


@pytest.fixture
async def frail(programs: Programs, migrated_url: str, valkey: OwnValkey) -> AsyncIterator[System]:
    """Two replicas and a listener on a Valkey that the test may break."""
    async with System(programs, migrated_url, valkey.url, "") as made:
        await fill(made)
        await made.start_listener()
        await made.start_replica()
        await made.start_replica()
        await made.caching()
        yield made


async def test_a_flushed_redis(frail: System) -> None:
    """FLUSHALL: answers stay right, and the cache is on again soon, under a generation never used before."""
    await frail.cached(PAGE)
    before = await frail.generation()
    await frail.redis.flushall()
    await frail.sql("UPDATE anomalies SET status = 'CONFIRMED' WHERE transaction_id = 'T0'")
    for replica in (0, 1):
        await frail.shows(replica, PAGE, [("T0", "CONFIRMED"), ("T1", "NEW"), ("T2", "NEW")], within=4.0)
    await frail.caught_up(before)
    await frail.cached(PAGE)


async def test_killed_subscriptions(frail: System) -> None:
    """CLIENT KILL TYPE pubsub, with a change in the gap: seen nevertheless, and the next one is fast again."""
    await frail.cached(PAGE)
    await frail.redis.client_kill_filter(_type="pubsub")
    await frail.sql("UPDATE anomalies SET status = 'CONFIRMED' WHERE transaction_id = 'T0'")
    for replica in (0, 1):
        await frail.shows(replica, PAGE, [("T0", "CONFIRMED"), ("T1", "NEW"), ("T2", "NEW")], within=4.0)
    await frail.cached(PAGE)
    await frail.sql("UPDATE anomalies SET status = 'DISMISSED' WHERE transaction_id = 'T0'")
    for replica in (0, 1):
        await frail.shows(replica, PAGE, [("T0", "DISMISSED"), ("T1", "NEW"), ("T2", "NEW")], within=4.0)


@pytest.mark.parametrize("fault", ["stopped", "killed"])
async def test_a_redis_that_hangs_or_is_gone(frail: System, valkey: OwnValkey, fault: str) -> None:
    """Answers go on coming, fresh and without error; a PUT succeeds within half a second more; the cache comes back."""
    await frail.cached(PAGE)
    if fault == "stopped":
        valkey.pause()
    else:
        valkey.kill()
    started = time.perf_counter()
    await frail.put_status(0, "T0", "CONFIRMED")
    assert time.perf_counter() - started < 3
    assert view(await frail.get(0, PAGE))[0] == ("T0", "CONFIRMED")

    async def bypasses() -> bool:
        return all([layer(await frail.get(replica, PAGE)) == "no-lease" for replica in (0, 1)])

    await eventually(bypasses)
    started = time.perf_counter()
    await asyncio.gather(*(frail.get(turn % 2, f"{ANOMALIES}?limit={turn + 1}") for turn in range(40)))
    assert time.perf_counter() - started < 4, "requests wait for Redis"
    await frail.sql("UPDATE anomalies SET status = 'DISMISSED' WHERE transaction_id = 'T0'")
    if fault == "stopped":
        valkey.resume()
    else:
        valkey.start()
    await eventually_hits(frail)
    for replica in (0, 1):
        assert view(await frail.get(replica, PAGE))[0] == ("T0", "DISMISSED")


async def eventually_hits(system: System) -> None:
    """Wait until both replicas answer from their L1 again; none may have failed meanwhile."""
    await eventually(lambda: all(program.child.running for program in (*system.replicas, *system.listeners)))
    await system.cached(PAGE)


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "corrupted": lambda wire: wire[:-2] + bytes([wire[-2] ^ 1]) + wire[-1:],
    "truncated": lambda wire: wire[: len(wire) // 2],
    "foreign": lambda _: b'{"anomalies": []}',
    "empty": lambda _: b"",
    "of another stamp": lambda wire: wire.replace(wire.split(b" ")[1], b"%d" % (int(wire.split(b" ")[1]) + 1), 1),
}


@pytest.mark.parametrize("damage", [*DAMAGE, "of another query", "of another type"])
async def test_an_entry_that_is_not_to_be_believed(system: System, damage: str) -> None:
    """It is deleted, counted and missed; the client sees nothing of it."""
    path = f"{ANOMALIES}?limit=4"
    good = await system.get(0, path)
    await eventually(lambda: system.keys("anomalies"))
    keys = await system.redis.keys(f"{system.prefix}anomalies:*")
    await system.get(0, f"{ANOMALIES}?limit=5")

    async def two() -> bool:
        return await system.keys("anomalies") > len(keys)

    await eventually(two)
    other = next(iter(set(await system.redis.keys(f"{system.prefix}anomalies:*")) - set(keys)))
    # What is no entry is removed by a sweep, too, and one may be under way.
    system.listeners[0].pause()
    try:
        for key in keys:
            wire, foreign = await system.redis.get(key), await system.redis.get(other)
            assert isinstance(wire, bytes)
            assert isinstance(foreign, bytes)
            ttl = await system.redis.pttl(key)
            if damage == "of another type":
                await system.redis.delete(key)
                await system.redis.hset(key, "field", "value")
            elif damage == "of another query":
                await system.redis.set(key, foreign, px=ttl)
            else:
                await system.redis.set(key, DAMAGE[damage](wire), px=ttl)
        before = await system.metric(1, "cache_errors_total", operation="decode")
        response = await system.get(1, path)
        assert response.headers["Cache-Status"].endswith("stored; detail=db")
        assert response.content == good.content
        assert await system.metric(1, "cache_errors_total", operation="decode") == before + 1
    finally:
        system.listeners[0].resume()
    assert layer(await system.get(1, path)) == "l1"
