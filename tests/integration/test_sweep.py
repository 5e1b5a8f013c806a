"""Sweeping a namespace's outdated entries out of a real Redis."""

from collections.abc import AsyncIterator, Callable

import pytest
from redis.asyncio import Redis

from coherence.entry import Entry, etag_of
from coherence.events import Event, Operated
from coherence.keys import Names
from coherence.query import Query
from coherence.redis_client import connect, database_of
from coherence.settings import CoherenceSettings
from coherence.sweep import sweep
from tests.support.own_servers import OwnValkey

GENERATION = 1_700_000_000_000_000


class Room:
    """A Redis with entries in it."""

    def __init__(self, url: str, prefix: str, *, timeout: float = 5.0) -> None:
        settings = CoherenceSettings.model_validate({"redis_url": url, "redis_timeout_ms": round(timeout * 1000)})
        self.redis: Redis = connect(settings, connections=5)
        self.names = Names(prefix, database_of(self.redis))
        self.events: list[Event] = []
        self._timeout = timeout

    async def fill(self, namespace: str, stamp: int, count: int = 1, first: int = 0) -> set[bytes]:
        """Put entries with this stamp, and return their keys."""
        keys = set()
        for number in range(first, first + count):
            query = Query(namespace, {"number": number})
            name = self.names.entry(query.key)
            await self.redis.set(name, Entry(query, stamp, 0.0, 60.0, etag_of(b"body"), b"body").as_wire(), px=60_000)
            keys.add(name.encode())
        return keys

    async def keys(self) -> set[bytes]:
        """Return every key that there is."""
        return {key for key in await self.redis.keys("*") if isinstance(key, bytes)}

    async def sweep(self, namespace: str = "anomalies", generation: int = GENERATION) -> int:
        """Sweep the namespace."""
        return await sweep(self.redis, self.names, namespace, generation, self.events.append, self._timeout)


@pytest.fixture
async def room(redis_url: str, cache_prefix: str) -> AsyncIterator[Room]:
    """The test's own database."""
    room = Room(redis_url, cache_prefix)
    yield room
    await room.redis.aclose()


async def test_outdated_entries_go_and_later_ones_stay(room: Room) -> None:
    """What is stamped before the generation is removed, what was loaded since is not."""
    await room.fill("anomalies", GENERATION - 1, count=3)
    kept = await room.fill("anomalies", GENERATION, first=3) | await room.fill("anomalies", GENERATION + 1, first=4)
    assert await room.sweep() == 3
    assert await room.keys() == kept
    assert [(event.operation, event.error) for event in room.events if isinstance(event, Operated)] == [("sweep", None)]


async def test_nothing_but_the_namespace_is_touched(room: Room) -> None:
    """Other namespaces, other deployments and the generation stay, however alike their names."""
    kept = await room.fill("transactions", 1) | await room.fill("anomalies2", 1)
    for name in ("anomalies:of another deployment", room.names.generation, room.names.entry("anomalies")):
        await room.redis.set(name, "1")
        kept.add(name.encode())
    await room.fill("anomalies", 1)
    assert await room.sweep() == 1
    assert await room.keys() == kept


async def test_a_namespace_is_no_pattern(room: Room) -> None:
    """Characters that mean something in a pattern match themselves alone."""
    kept = await room.fill("ab", 1)
    await room.fill("a*", 1)
    assert await room.sweep("a*") == 1
    assert await room.keys() == kept


async def test_what_is_no_entry_goes(room: Room) -> None:
    """Under the namespace's keys nothing else has a place: other formats, other types."""
    await room.redis.set(room.names.entry("anomalies:garbage"), "garbage")
    await room.redis.set(room.names.entry("anomalies:empty"), "")
    await room.redis.rpush(room.names.entry("anomalies:list"), "x")
    await room.redis.hset(room.names.entry("anomalies:hash"), "x", "y")
    assert await room.sweep() == 4
    assert await room.keys() == set()


async def test_many_entries_among_many_others(room: Room) -> None:
    """However many steps it takes, every outdated entry is found."""
    kept = await room.fill("transactions", 1, count=1500)
    await room.fill("anomalies", 1, count=1500)
    assert await room.sweep() == 1500
    assert await room.keys() == kept
    assert await room.sweep() == 0


async def test_a_redis_that_does_not_answer_ends_the_sweep(
    own_redis: Callable[..., OwnValkey], cache_prefix: str
) -> None:
    """It is reported and no more: the entries are outdated with or without the sweep."""
    server = own_redis()
    room = Room(server.url, cache_prefix, timeout=0.1)
    await room.fill("anomalies", 1)
    server.pause()
    assert await room.sweep() == 0
    assert [event.error is not None for event in room.events if isinstance(event, Operated)] == [True]
    server.resume()
    await room.redis.aclose()
