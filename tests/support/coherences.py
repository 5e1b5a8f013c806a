"""Processes' caches that run in the test's own process over a real Redis, and a listener that the test plays."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

from pydantic import SecretStr
from redis.asyncio import Redis

from coherence.answer import Answer
from coherence.changes import Change
from coherence.clock import Clock, monotonic
from coherence.coherence import Coherence, Published
from coherence.entry import stamp_of
from coherence.events import Event
from coherence.generation import GenerationKey, Renewed
from coherence.keys import Names
from coherence.query import Query
from coherence.redis_client import RedisUnavailable, connect, database_of
from coherence.settings import CoherenceSettings
from coherence.tasks import end
from coherence.timing import Timing
from tests.support.waiting import eventually

QUERY = Query("anomalies", {"limit": 1})
OTHER = Query("transactions", {"limit": 1})
NAMESPACES = (QUERY.namespace, OTHER.namespace)
TTL = 60.0
BOUND = 4.0
"""A bound in seconds that a busy machine keeps its leases within."""

E = TypeVar("E")


class Database:
    """One row that every query reads, and loads that can be held up on the way back."""

    def __init__(self) -> None:
        self.row = b"old"
        self.loads = 0
        self.held: list[asyncio.Event] = []
        """One for each load that has read the row and is held up."""
        self._hold = False

    async def load(self) -> bytes:
        """Read the row."""
        self.loads += 1
        row = self.row
        if self._hold:
            answer = asyncio.Event()
            self.held.append(answer)
            await answer.wait()
        return row

    def hold(self) -> None:
        """Hold up what is loaded from here on."""
        self._hold = True

    def release(self) -> None:
        """Hold nothing up any more."""
        self._hold = False
        for answer in self.held:
            answer.set()


class Replica:
    """One process' cache, and what it has reported."""

    def __init__(self, coherence: Coherence, database: Database, events: list[Event]) -> None:
        self.coherence = coherence
        self.database = database
        self.events = events

    async def get(
        self, query: Query = QUERY, *, bypass: str | None = None, at_least: int = 0, ttl: float = TTL
    ) -> Answer:
        """Ask for `query`."""
        return await self.coherence.get_or_load(query, self.database.load, ttl=ttl, bypass=bypass, at_least=at_least)

    async def put(self, row: bytes, namespace: str = "anomalies") -> Published:
        """Commit a row here, and announce it."""
        self.database.row = row
        return await self.coherence.publish([Change(namespace, "put")])

    def seen(self, kind: type[E]) -> list[E]:
        """Return the events of one kind, oldest first."""
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def valid(self) -> bool:
        """Whether its caches may be relied on now."""
        return self.coherence.lease_left > 0

    async def caching(self, within: float = 10.0) -> None:
        """Wait until it has a view."""
        await eventually(lambda: self.valid, within=within)

    async def bypassing(self, within: float = 10.0) -> None:
        """Wait until it has none."""
        await eventually(lambda: not self.valid, within=within)

    async def at(self, generation: int, within: float = 10.0) -> None:
        """Wait until it has applied `generation`."""
        await eventually(lambda: self.coherence.view.generation >= generation, within=within)

    async def stored(self, query: Query = QUERY, within: float = 10.0) -> None:
        """Wait until Redis has an entry for `query`."""
        coherence = self.coherence
        await eventually(lambda: coherence.redis.exists(coherence.names.entry(query.key)), within=within)

    async def stored_since(self, generation: int, query: Query = QUERY, within: float = 10.0) -> None:
        """Wait until Redis has an entry for `query` that was loaded at `generation` or later."""
        coherence = self.coherence
        name = coherence.names.entry(query.key)

        async def there() -> bool:
            wire = await coherence.redis.get(name)
            return isinstance(wire, bytes) and (stamp_of(wire) or 0) >= generation

        await eventually(there, within=within)


class Vouching:
    """The listener's part in the protocol, without Postgres: it hears of each change because the test tells it."""

    def __init__(self, redis: Redis, names: Names, timing: Timing, timeout: float, database: Database) -> None:
        self.redis = redis
        self.names = names
        self.timing = timing
        self.key = GenerationKey(redis, names, timeout)
        self.database = database
        self.floor = 0
        self._owed: list[str | None] = [None]
        self._server = ""
        self._lock = asyncio.Lock()

    def commit_soon_told(self, row: bytes, namespace: str = "anomalies") -> None:
        """Commit a row behind the processes' back; it is announced with the next renewal, if Redis lets it."""
        self.database.row = row
        self._owed.append(namespace)

    async def commit(self, row: bytes, *namespaces: str | None) -> int:
        """Commit a row behind the processes' back, and announce it; return the generation."""
        async with self._lock:
            self.database.row = row
            return await self.bump(*(namespaces or ("anomalies",)))

    async def bump(self, *namespaces: str | None) -> int:
        """Announce a change of each of `namespaces`, and return the generation."""
        bumped = await self.key.bump(self.floor, [Change(namespace, "update") for namespace in namespaces])
        self.floor = bumped.bump.generation
        return bumped.bump.generation

    async def renew(self) -> Renewed:
        """Tell what is owed, and give a whole lease."""
        server = await self.key.server_id()
        if server != self._server:
            self._server, self._owed = server, [None]
        t0, began = await self.key.time_us(), monotonic()
        if self._owed:
            owed, self._owed = self._owed, []
            try:
                await self.bump(*owed)
            except RedisUnavailable:
                self._owed = [None]
                raise
        renewed = await self.key.renew(
            t0, monotonic() - began, self.timing.lease, self.floor, namespaces=NAMESPACES, server=server
        )
        self.floor = max(self.floor, renewed.generation)
        return renewed

    @asynccontextmanager
    async def vouching(self) -> AsyncIterator[None]:
        """Renew the lease again and again; where Redis fails, or is another, everything has changed."""
        task = asyncio.create_task(self._vouch(), name="vouching")
        try:
            yield
        finally:
            await end(task)

    async def _vouch(self) -> None:
        while True:
            async with self._lock:
                try:
                    await self.renew()
                except RedisUnavailable:
                    self._owed = [None]
            await asyncio.sleep(self.timing.renew_interval / 2)


class Deployment:
    """A Redis and a prefix in it, and the processes that share them."""

    def __init__(self, redis_url: str, prefix: str = "", *, bound: float = BOUND) -> None:
        self.redis_url = redis_url
        self.prefix = prefix
        self.bound = bound
        self.database = Database()

    def settings(self, redis_url: str | None = None, **settings: object) -> CoherenceSettings:
        """Return the settings of its processes; `redis_url` may lead through a proxy."""
        given = {
            "redis_url": SecretStr(redis_url or self.redis_url),
            "cache_prefix": self.prefix,
            "cache_max_staleness_seconds": self.bound,
            "redis_timeout_ms": 1000,
            **settings,
        }
        return CoherenceSettings.model_validate(given)

    @asynccontextmanager
    async def replica(
        self,
        redis_url: str | None = None,
        *,
        ack_timeout: float = 5.0,
        fleet_patience: float = 0.5,
        clock: Clock = monotonic,
        **settings: object,
    ) -> AsyncIterator[Replica]:
        """Run a process' cache; fails if one of its tasks does."""
        events: list[Event] = []
        coherence = Coherence(
            self.settings(redis_url, **settings),
            l1_bytes=1_000_000,
            max_loads=50,
            ack_timeout=ack_timeout,
            fleet_patience=fleet_patience,
            observer=events.append,
            clock=clock,
        )
        async with coherence.running() as task:
            yield Replica(coherence, self.database, events)
            if task.done():
                task.result()

    @asynccontextmanager
    async def listener(self, redis_url: str | None = None) -> AsyncIterator[Vouching]:
        """Return what the test plays the listener with."""
        made = self.settings(redis_url)
        redis = connect(made, connections=2)
        names = Names(self.prefix, database_of(redis))
        try:
            timing = Timing.from_bound(self.bound)
            yield Vouching(redis, names, timing, made.redis_timeout_ms / 1000, self.database)
        finally:
            await redis.aclose()
