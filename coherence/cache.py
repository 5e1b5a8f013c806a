"""get_or_load: L1, then L2, then the database; each answer proven fresh or fetched."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal

from coherence.clock import Clock, RedisClock
from coherence.entry import Entry, etag_of
from coherence.events import Bypassed, Hit, Joined, Judged, Loaded, Missed, Observer, Shed
from coherence.gate import Gate, Overloaded
from coherence.l1 import L1, Kept
from coherence.l2 import L2
from coherence.query import Query
from coherence.rows import Page
from coherence.singleflight import Flight, SingleFlight
from coherence.view import View

JITTER = 0.1
"""Most that an entry's TTL may exceed what was asked for, as a share of it: what is stored together ends apart."""


@dataclass(frozen=True, slots=True)
class Content:
    """What was loaded: the bytes, and, for a page of a list, its place in it."""

    body: bytes
    page: Page | None = None


Load = Callable[[], Awaitable[bytes | Content]]
"""Reads an answer from the database, in a transaction that begins after the call."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer's bytes, and how they came about.

    `layer` says where they were; `forward` why they were loaded (None: they were not), `reason` why the caches were
    bypassed (None: they were not). Of one from a cache, `ttl` is how many seconds it could still be served for, `age`
    how long ago its load began, and `kept` what L1 has, if it does. `stored` says whether it is kept now, `collapsed`
    whether it shares another request's load.
    """

    body: bytes
    etag: str
    layer: Literal["l1", "l2", "db"]
    forward: Literal["uri-miss", "stale", "bypass"] | None = None
    reason: str | None = None
    ttl: float = 0.0
    age: float = 0.0
    kept: Kept | None = None
    stored: bool = False
    collapsed: bool = False


@dataclass(frozen=True, slots=True)
class _Fetched:
    entry: Entry
    layer: Literal["l2", "db"]
    stale: bool = False
    stored: bool = False


class Cache:
    """One process' reads."""

    def __init__(
        self,
        *,
        view: View,
        redis_clock: RedisClock,
        l1: L1,
        l2: L2,
        gate: Gate,
        clock: Clock,
        observer: Observer,
    ) -> None:
        self._view = view
        self._redis_clock = redis_clock
        self._l1 = l1
        self._l2 = l2
        self._gate = gate
        self._clock = clock
        self._observe = observer
        self._cached = SingleFlight[_Fetched]()
        self._fresh = SingleFlight[Entry]()

    async def get_or_load(
        self, query: Query, load: Load, *, ttl: float, bypass: str | None = None, at_least: int = 0
    ) -> Answer:
        """Return the answer to `query`, from a cache where it can be proven fresh enough, else from `load`.

        `ttl` is how long it may be kept, in seconds. `bypass` is a reason not to ask the caches; `at_least` is a
        generation that the caller knows of: a view that has not reached it is not asked. A load that bypasses the
        caches begins after the call. Raises Overloaded when no place came free, and whatever `load` raises.
        """
        if bypass is None:
            if not self._view.serves(query.namespace, self._clock()):
                bypass = "no-lease"
            elif at_least > self._view.generation:
                bypass = "request"
        if bypass is not None:
            return await self._bypass(query, load, bypass)
        kept = self._l1.get(query.key)
        if kept is not None and kept.entry.query == query:
            left = kept.ends - self._clock()
            if left > 0 and self._spared(kept):
                self._observe(Hit(query.namespace, "l1"))
                entry = kept.entry
                return Answer(entry.body, entry.etag, "l1", ttl=left, age=entry.ttl - left, kept=kept)
        return await self._fetch(query, load, ttl, stale=kept is not None)

    async def _fetch(self, query: Query, load: Load, ttl: float, *, stale: bool) -> Answer:
        namespace = query.namespace
        fetched, joined = await self._cached.run(
            query,
            self._view.generation,
            # A load that began before a change does not satisfy a request that began after it (I2).
            lambda flight: self._view.unaffected(query, flight.stamp),
            lambda _: self._read_through(query, load, ttl, stale=stale),
        )
        entry = fetched.entry
        if fetched.layer == "l2":
            self._observe(Hit(namespace, "l2"))
            left = max(0.0, self._remaining(entry))
            return Answer(entry.body, entry.etag, "l2", ttl=left, age=entry.ttl - left, kept=self._kept(entry))
        self._observe(Missed(namespace, fetched.stale))
        if joined:
            self._observe(Joined(namespace))
        forward: Literal["stale", "uri-miss"] = "stale" if fetched.stale else "uri-miss"
        return Answer(entry.body, entry.etag, "db", forward, stored=fetched.stored, collapsed=joined)

    def _kept(self, entry: Entry) -> Kept | None:
        kept = self._l1.get(entry.query.key)
        return kept if kept is not None and kept.entry is entry else None

    async def _read_through(self, query: Query, load: Load, ttl: float, *, stale: bool) -> _Fetched:
        found = await self._l2.get(query)
        if found is not None:
            now = self._clock()
            left = self._remaining(found)
            # Time has passed since the view was asked: it is asked again.
            if left > 0 and self._view.serves(query.namespace, now) and self._judge(found, found.stamp):
                self._l1.put(found, now + left, self._view.generation)
                return _Fetched(found, "l2")
            stale = True
        async with self._place(query):
            entry = await self._load(query, load, ttl * (1 + random.uniform(0, JITTER)))  # noqa: S311 - no secret
        return _Fetched(entry, "db", stale, stored=self._store(entry))

    async def _bypass(self, query: Query, load: Load, reason: str) -> Answer:
        async def read(flight: Flight[Entry]) -> Entry:
            async with self._place(query):
                flight.begun = True
                return await self._load(query, load, 0.0)

        self._observe(Bypassed(query.namespace, reason))
        # Without a view nothing is known of changes: only a load that has yet to begin is sure to see them all.
        entry, joined = await self._fresh.run(query, 0, lambda flight: not flight.begun, read)
        if joined:
            self._observe(Joined(query.namespace))
        return Answer(entry.body, entry.etag, "db", "bypass", reason, collapsed=joined)

    @asynccontextmanager
    async def _place(self, query: Query) -> AsyncIterator[None]:
        try:
            async with self._gate.place():
                yield
        except Overloaded:
            self._observe(Shed(query.namespace))
            raise

    async def _load(self, query: Query, load: Load, ttl: float) -> Entry:
        # The stamp is taken before the load begins: whatever changes from here on counts as later than it (I1).
        stamp = self._view.generation
        started = self._clock()
        outcome: Literal["ok", "error"] = "error"
        try:
            content = await load()
            outcome = "ok"
        finally:
            self._observe(Loaded(query.namespace, self._clock() - started, outcome))
        body, page = (content.body, content.page) if isinstance(content, Content) else (content, None)
        return Entry(query, stamp, self._redis_clock.at(self._clock()), ttl, etag_of(body), body, page)

    def _store(self, entry: Entry) -> bool:
        now = self._clock()
        if not entry.ttl > 0 or not self._view.serves(entry.query.namespace, now):
            return False
        if not self._view.unaffected(entry.query, entry.stamp, entry.page):
            return False
        here = self._l1.put(entry, now + entry.ttl, self._view.generation)
        return self._l2.put(entry) or here

    def _spared(self, kept: Kept) -> bool:
        generation = self._view.generation
        if kept.judged != generation:
            if not self._judge(kept.entry, kept.judged):
                return False
            kept.judged = generation
        return True

    def _judge(self, entry: Entry, since: int) -> bool:
        """Tell whether `entry`, judged up to generation `since`, is unaffected by what came after."""
        if self._view.history.unchanged(entry.query.namespace, since) and since <= self._view.generation:
            return True
        spared = self._view.unaffected(entry.query, since, entry.page)
        self._observe(Judged(entry.query.namespace, spared))
        return spared

    def _remaining(self, entry: Entry) -> float:
        return entry.remaining(self._redis_clock.at(self._clock()))

    async def close(self) -> None:
        """Cancel the loads that are under way."""
        await self._cached.close()
        await self._fresh.close()
