"""Loads answers and keeps them, each with the stamp that says what it has seen."""

import math
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal

from coherence.clock import Clock, RedisClock
from coherence.entry import Entry, etag_of
from coherence.events import Judged, Loaded, Observer, Shed
from coherence.gate import Gate, Overloaded
from coherence.l1 import L1, Kept
from coherence.l2 import L2
from coherence.query import Query
from coherence.rows import Page
from coherence.view import View

WIRE_SECONDS = 0.001
"""What an entry's times are rounded to in Redis."""

JITTER = 0.1
"""Most that an entry's TTL may exceed what was asked for, as a share of it: what is stored together ends apart."""


@dataclass(frozen=True, slots=True)
class Content:
    """What was loaded: the bytes, and, for a page of a list, its place in it."""

    body: bytes
    page: Page | None = None


Load = Callable[[], Awaitable[bytes | Content]]
"""Reads an answer from the database, in a transaction that begins after the call."""


class Loading:
    """What a miss and a refresh have in common.

    `refresh_ahead` is the last part of an entry's TTL in which a hit has it loaded anew, as a share of the TTL.
    """

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
        refresh_ahead: float,
    ) -> None:
        self._view = view
        self._redis_clock = redis_clock
        self._l1 = l1
        self._l2 = l2
        self._gate = gate
        self._clock = clock
        self._observe = observer
        self._refresh_ahead = refresh_ahead

    @asynccontextmanager
    async def place(self, query: Query) -> AsyncIterator[None]:
        """Hold a place to load in. Raises Overloaded when none came free in time."""
        try:
            async with self._gate.place():
                yield
        except Overloaded:
            self._observe(Shed(query.namespace))
            raise

    def refuse_in_vain(self, query: Query) -> None:
        """Raise Overloaded where a load that began now would wait for its place in vain: before it costs anything."""
        if self._gate.hopeless:
            self._observe(Shed(query.namespace))
            raise Overloaded(retry_after=1)

    async def load(self, query: Query, load: Load, ttl: float) -> Entry:
        """Return what `load` brings, to be kept for `ttl` seconds. Raises what `load` raises."""
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
        return Entry(query, stamp, self._redis_clock.at(started), ttl, etag_of(body), body, page)

    async def fill(self, query: Query, load: Load, ttl: float, turn: bytes) -> tuple[Entry, bool]:
        """Return what `load` brings, and whether it is kept; `turn`, if there is one, ends whatever comes of it.

        Raises Overloaded when no place came free in time, and what `load` raises.
        """
        try:
            async with self.place(query):
                entry = await self.load(query, load, ttl * (1 + random.uniform(0, JITTER)))  # noqa: S311 - no secret
        except BaseException:
            if turn:
                self._l2.leave(query, turn)
            raise
        return entry, self._keep(entry, turn)

    def _keep(self, entry: Entry, turn: bytes) -> bool:
        now = self._clock()
        usable = entry.ttl > 0 and self._view.serves(entry.query.namespace, now)
        if not usable or not self._view.unaffected(entry.query, entry.stamp, entry.page):
            if turn:
                self._l2.leave(entry.query, turn)
            return False
        here = self._keep_here(entry, now + self.remaining(entry))
        return self._l2.put(entry, turn) or here

    async def look(self, query: Query, *, after: float = -math.inf) -> tuple[Entry | None, bool]:
        """Return Redis' entry of `query`, kept here from now on; or None, and whether one was there that will not do.

        It must have been stored `after` that time of Redis' clock.
        """
        found = await self._l2.get(query)
        if found is None or found.stored_at <= after + WIRE_SECONDS:
            return None, found is not None
        now = self._clock()
        left = self.remaining(found)
        # Time has passed since the view was asked: it is asked again.
        if left > 0 and self._view.serves(query.namespace, now) and self._judge(found, found.stamp):
            self._keep_here(found, now + left)
            return found, True
        return None, True

    def spares(self, kept: Kept) -> bool:
        """Tell whether no change affects what is kept."""
        generation = self._view.generation
        if kept.judged != generation:
            if not self._judge(kept.entry, kept.judged):
                return False
            kept.judged = generation
        return True

    @property
    def time(self) -> float:
        """Redis' time, in seconds."""
        return self._redis_clock.at(self._clock())

    def remaining(self, entry: Entry) -> float:
        """Return how many seconds of its TTL are left."""
        return entry.remaining(self.time)

    def _keep_here(self, entry: Entry, ends: float) -> bool:
        # Each process draws its own moment, so that one of them loads, and the others find it in Redis.
        ahead = entry.ttl * self._refresh_ahead * random.uniform(0.5, 1)  # noqa: S311 - no secret
        return self._l1.put(entry, ends, self._view.generation, refresh_at=ends - ahead)

    def _judge(self, entry: Entry, since: int) -> bool:
        """Tell whether `entry`, judged up to generation `since`, is unaffected by what came after."""
        if self._view.history.unchanged(entry.query.namespace, since) and since <= self._view.generation:
            return True
        spared = self._view.unaffected(entry.query, since, entry.page)
        self._observe(Judged(entry.query.namespace, spared))
        return spared
