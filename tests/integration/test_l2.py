"""Entries in a real Redis: what is believed, what is removed, and what a failing Redis costs."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

import pytest
from redis.asyncio import Redis

from coherence.coder import Coder
from coherence.coding import ZSTD
from coherence.entry import Entry, etag_of
from coherence.events import Event, Operated, Rejected
from coherence.keys import Names
from coherence.l1 import L1
from coherence.l2 import L2, MOST_PENDING_PUTS
from coherence.query import Query
from coherence.redis_client import connect, database_of
from coherence.settings import CoherenceSettings
from tests.support.own_servers import OwnValkey
from tests.support.proxy import Proxy
from tests.support.waiting import eventually

QUERY = Query("anomalies", {"limit": 1})
BODY = b'{"anomalies":[]}'
ENTRY = Entry(QUERY, 1_700_000_000_000_000, 1_700_000_000.0, 60.0, etag_of(BODY), BODY)

E = TypeVar("E")


class Place:
    """An L2 over a Redis, and what it has reported."""

    def __init__(self, url: str, prefix: str, *, timeout: float = 5.0, connections: int = 10) -> None:
        settings = CoherenceSettings.model_validate({"redis_url": url, "redis_timeout_ms": round(timeout * 1000)})
        self.redis: Redis = connect(settings, connections=connections)
        self.names = Names(prefix, database_of(self.redis))
        self.events: list[Event] = []
        self.l2 = L2(self.redis, self.names, self.events.append, timeout, Coder((ZSTD,), L1(0), self.events.append))

    @property
    def name(self) -> str:
        """The Redis key of the query."""
        return self.names.entry(QUERY.key)

    async def put(self, entry: Entry = ENTRY) -> None:
        """Put an entry, and wait until it is written."""
        self.l2.put(entry)
        await self.l2.close()

    def seen(self, kind: type[E]) -> list[E]:
        """Return the events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    def failures(self) -> list[str]:
        """Return the operations that failed."""
        return [event.operation for event in self.seen(Operated) if event.error is not None]


@pytest.fixture
async def make_place(cache_prefix: str) -> AsyncIterator[Callable[..., Place]]:
    """Make an L2 over the Redis of a URL."""
    places: list[Place] = []

    def make(url: str, *, timeout: float = 5.0, connections: int = 10) -> Place:
        places.append(Place(url, cache_prefix, timeout=timeout, connections=connections))
        return places[-1]

    yield make
    for place in places:
        await place.l2.close()
        await place.redis.aclose()


@pytest.fixture
def place(make_place: Callable[..., Place], redis_url: str) -> Place:
    """An L2 in the test's own database."""
    return make_place(redis_url)


async def test_what_is_put_is_got(place: Place) -> None:
    """The entry comes back as it was, from behind the prefix; the operations are reported."""
    assert await place.l2.get(QUERY) is None
    await place.put()
    assert await place.l2.get(QUERY) == ENTRY
    assert await place.redis.keys("*") == [place.name.encode()]
    assert [event.operation for event in place.seen(Operated)] == ["get", "set", "get"]
    assert place.failures() == []


async def test_an_entry_lives_for_its_ttl(place: Place) -> None:
    """Redis drops it by itself, to the millisecond."""
    await place.put()
    assert 50_000 < await place.redis.pttl(place.name) <= 60_000
    short = Entry(QUERY, ENTRY.stamp, ENTRY.stored_at, 0.0004, ENTRY.etag, BODY)
    await place.put(short)
    assert await place.redis.pttl(place.name) <= 1


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "a byte of the body": lambda wire: wire[:-1] + b"!",
    "a byte of the header": lambda wire: wire.replace(b"AC3 17", b"AC3 18", 1),
    "truncated body": lambda wire: wire[:-3],
    "truncated header": lambda wire: wire[:20],
    "empty": lambda wire: wire[:0],
    "another format": lambda wire: b"AC9" + wire[3:],
    "a pickle": lambda _: b"\x80\x04\x95\x00.",
    "JSON of the old cache": lambda _: b'{"anomalies": [], "count": 0}',
    "other parameters": lambda _: Entry(
        Query("anomalies", {"limit": 2}), ENTRY.stamp, ENTRY.stored_at, ENTRY.ttl, ENTRY.etag, BODY
    ).as_wire(),
    "another namespace": lambda _: Entry(
        Query("transactions", {"limit": 1}), ENTRY.stamp, ENTRY.stored_at, ENTRY.ttl, ENTRY.etag, BODY
    ).as_wire(),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
async def test_what_cannot_be_believed_is_removed_counted_and_missed(
    place: Place, damage: Callable[[bytes], bytes]
) -> None:
    """Corrupted, truncated and foreign entries are no answers, and do not stay."""
    await place.redis.set(place.name, damage(ENTRY.as_wire()))
    assert await place.l2.get(QUERY) is None
    assert not await place.redis.exists(place.name)
    assert [event.namespace for event in place.seen(Rejected)] == ["anomalies"]
    assert not place.l2.suspended
    await place.put()
    assert await place.l2.get(QUERY) == ENTRY


@pytest.mark.parametrize("kind", ["list", "hash", "set", "zset", "stream"])
async def test_a_key_of_another_type_is_removed_counted_and_missed(place: Place, kind: str) -> None:
    """A wrong type is no fault of Redis: nothing is suspended by it."""
    lay: dict[str, Callable[[], Any]] = {
        "list": lambda: place.redis.rpush(place.name, "x"),
        "hash": lambda: place.redis.hset(place.name, "x", "y"),
        "set": lambda: place.redis.sadd(place.name, "x"),
        "zset": lambda: place.redis.zadd(place.name, {"x": 1}),
        "stream": lambda: place.redis.xadd(place.name, {"x": "y"}),
    }
    await lay[kind]()
    assert await place.l2.get(QUERY) is None
    assert not await place.redis.exists(place.name)
    assert [event.reason for event in place.seen(Rejected)] == ["not a string"]
    assert not place.l2.suspended
    assert place.failures() == []


async def test_a_put_replaces_what_is_there_whatever_its_type(place: Place) -> None:
    """What others left under our key is in nobody's way."""
    await place.redis.rpush(place.name, "x")
    await place.put()
    assert await place.l2.get(QUERY) == ENTRY


async def test_after_a_failure_nothing_is_asked_until_redis_answers_again(
    own_redis: Callable[..., OwnValkey], make_place: Callable[..., Place]
) -> None:
    """A Redis that hangs costs one request one timeout; the next ones cost nothing."""
    server = own_redis()
    place = make_place(server.url, timeout=0.1)
    await place.put()
    server.pause()
    assert await place.l2.get(QUERY) is None
    assert place.failures() == ["get"]
    assert place.l2.suspended
    operations = len(place.events)
    for _ in range(100):
        assert await place.l2.get(QUERY) is None
        place.l2.put(ENTRY)
    assert len(place.events) == operations
    server.resume()
    place.l2.resume()
    place.events.clear()
    assert await eventually(lambda: place.l2.get(QUERY)) == ENTRY


async def test_a_redis_that_refuses_writes_is_still_read(
    own_redis: Callable[..., OwnValkey], make_place: Callable[..., Place]
) -> None:
    """A full Redis that evicts nothing answers at once: what is in it goes on being served."""
    server = own_redis()
    place = make_place(server.url)
    await place.put()
    await place.redis.config_set("maxmemory", "1")
    await place.put()
    assert place.failures() == ["set"]
    assert not place.l2.suspended
    assert await place.l2.get(QUERY) == ENTRY


async def test_a_redis_that_is_not_there_is_a_miss(make_place: Callable[..., Place]) -> None:
    """No fault reaches the caller."""
    place = make_place("redis://127.0.0.1:1")
    assert await place.l2.get(QUERY) is None
    assert place.failures() == ["get"]
    place.l2.resume()
    await place.put()
    assert place.failures() == ["get", "set"]


async def test_writes_do_not_pile_up(own_redis: Callable[..., OwnValkey], make_place: Callable[..., Place]) -> None:
    """Past a number of writes under way more are dropped, and said to be."""
    server = own_redis()
    place = make_place(server.url)
    await place.redis.ping()
    server.pause()
    for _ in range(MOST_PENDING_PUTS + 5):
        place.l2.put(ENTRY)
    assert place.failures() == ["set"] * 5
    server.resume()
    await place.l2.close()
    assert place.failures() == ["set"] * 5
    assert await place.l2.get(QUERY) == ENTRY


async def test_an_answer_that_comes_too_late_is_nobody_elses(redis_url: str, make_place: Callable[..., Place]) -> None:
    """A command that was given up leaves no answer behind for the next one on its connection."""
    async with Proxy(redis_url) as proxy:
        place = make_place(proxy.url, timeout=0.1, connections=2)
        queries = [Query("anomalies", {"limit": number}) for number in range(20)]
        for query in queries:
            body = query.text.encode()
            await place.put(Entry(query, ENTRY.stamp, ENTRY.stored_at, 60.0, etag_of(body), body))
        for latency in (0.0, 0.06, 0.0, 0.045, 0.055, 0.0):
            proxy.latency = latency
            place.l2.resume()
            found = await asyncio.gather(*(place.l2.get(query) for query in queries))
            for query, entry in zip(queries, found, strict=True):
                assert entry is None or entry.body == query.text.encode()
        assert place.seen(Rejected) == []
        proxy.latency = 0.0
        place.l2.resume()
        assert await place.l2.get(QUERY) is not None
