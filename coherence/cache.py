"""get_or_load: L1, then L2, then the database; each answer proven fresh or fetched."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from coherence.answer import Answer, NotCached
from coherence.clock import Clock, RedisClock
from coherence.entry import Entry
from coherence.events import Bypassed, Hit, Joined, Missed, Observer, Unproven
from coherence.fleet_flight import FleetFlight
from coherence.gate import Gate
from coherence.hits import Both, Witness
from coherence.l1 import L1, Kept
from coherence.l2 import L2
from coherence.loading import Load, Loading
from coherence.query import Query
from coherence.refresh import Refresh
from coherence.singleflight import Flight, SingleFlight
from coherence.view import View


@dataclass(frozen=True, slots=True)
class _Fetched:
    entry: Entry
    layer: Literal["l2", "db"]
    stale: bool = False
    stored: bool = False


class Cache:
    """One process' reads.

    `fleet_patience` is how long another process' load is waited for, in seconds; `refresh_ahead` is the last part of an
    entry's TTL in which a hit has it loaded anew, as a share of it. 0 turns each off. `auditing` is told of each
    hit that was proven fresh.
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
        fleet_patience: float = 0.0,
        refresh_ahead: float = 0.0,
        auditing: Witness | None = None,
    ) -> None:
        self._view = view
        self._auditing = auditing
        self._witness = auditing
        self._l1 = l1
        self._clock = clock
        self._observe = observer
        self._loading = Loading(
            view=view,
            redis_clock=redis_clock,
            l1=l1,
            l2=l2,
            gate=gate,
            clock=clock,
            observer=observer,
            refresh_ahead=refresh_ahead,
        )
        self._fleet = FleetFlight(view=view, l2=l2, clock=clock, observer=observer, patience=fleet_patience)
        self._refresh = Refresh(loading=self._loading, fleet=self._fleet, gate=gate, clock=clock, observer=observer)
        self._cached = SingleFlight[_Fetched]()
        self._fresh = SingleFlight[Entry]()

    def tell(self, witness: Witness | None) -> None:
        """Have `witness` told of each hit that was proven fresh from now on, instead of the last one; None: nobody."""
        if witness is None or self._auditing is None:
            self._witness = witness or self._auditing
        else:
            self._witness = Both(self._auditing, witness)

    async def get_or_load(
        self,
        query: Query,
        load: Load,
        *,
        ttl: float,
        bypass: str | None = None,
        at_least: int = 0,
        max_age: float = math.inf,
        only_cached: bool = False,
    ) -> Answer:
        """Return the answer to `query`, from a cache where it can be proven fresh enough, else from `load`.

        `ttl` is how long it may be kept, in seconds; 0: not at all. `bypass` is a reason not to ask the caches;
        `at_least` is a generation that the caller knows of: a view that has not reached it is not asked. What was
        loaded more than `max_age` seconds ago is loaded anew. A load that bypasses the caches begins after the call.
        Raises Overloaded when no place came free, whatever `load` raises, and NotCached instead of loading where
        `only_cached` says so.
        """
        now = self._clock()
        if bypass is None:
            if not self._view.serves(query.namespace, now):
                bypass = "no-lease"
            elif at_least > self._view.generation:
                bypass = "request"
        if bypass is not None:
            if only_cached:
                raise NotCached
            return await self._bypass(query, load, bypass)
        kept = self._l1.get(query.key)
        if kept is not None and (kept.entry.query is query or kept.entry.query == query):
            left = kept.ends - now
            if left > 0 and kept.entry.ttl - left <= max_age and self._loading.spares(kept):
                if now >= kept.refresh_at and ttl > 0:
                    self._refresh.begin(kept, load, ttl)
                return self._hit(kept.entry, "l1", now, left, kept)
        if only_cached:
            return await self._shared(query, max_age)
        return await self._fetch(query, load, ttl, stale=kept is not None, max_age=max_age)

    def peek(self, query: Query, at_least: int = 0) -> tuple[Kept, float] | None:
        """Return what L1 has for `query`, and for how many seconds it could still be served; None where it may not be.

        It asks what `get_or_load` asks, and may be served as that would (I1). No hit is reported but to the witness:
        whoever makes one of it does that. All that has more to it than being served (it cannot be proven fresh, it is
        to be refreshed, a change has ended it) is left to `get_or_load`, which the caller goes on to.
        """
        view, now = self._view, self._clock()
        if at_least > view.generation or not view.proves(query.namespace, now):
            return None
        kept = self._l1.get(query.key)
        if kept is None or now >= kept.refresh_at:
            return None
        # The namespace is in the key: what is kept under this one is of the same.
        asked = kept.entry.query
        if asked is not query and asked.text != query.text:
            return None
        if kept.judged != view.generation and not (
            view.unaffected(query, kept.judged, kept.entry.page) and self._loading.spares(kept)
        ):
            return None
        if self._witness is not None:
            self._witness.hit(kept.entry, "l1")
        return kept, kept.ends - now

    async def _shared(self, query: Query, max_age: float) -> Answer:
        found, _ = await self._loading.look(query, after=self._loading.time - max_age)
        now = self._clock()
        if found is None or not self._view.serves(query.namespace, now):
            raise NotCached
        return self._hit_in_redis(found, now)

    async def _fetch(self, query: Query, load: Load, ttl: float, *, stale: bool, max_age: float) -> Answer:
        namespace = query.namespace
        after = self._loading.time - max_age

        async def fly(may_join: Callable[[Flight[_Fetched]], bool]) -> tuple[_Fetched, bool]:
            return await self._cached.run(
                query,
                self._view.generation,
                may_join,
                lambda _: self._read_through(query, load, ttl, stale=stale, after=after),
            )

        # A load that began before a change does not satisfy a request that began after it (I2).
        fetched, joined = await fly(lambda flight: self._view.unaffected(query, flight.stamp))
        if joined and fetched.entry.stored_at < after:
            # They were content with what was in Redis.
            fetched, joined = await fly(lambda _: False)
        if fetched.layer == "l2":
            now = self._clock()
            if not self._view.serves(namespace, now):
                # The lease ended between the flight's landing and our turn to go on.
                return await self._bypass(query, load, "no-lease")
            return self._hit_in_redis(fetched.entry, now)
        self._observe(Missed(namespace, fetched.stale))
        if joined:
            self._observe(Joined(namespace))
        forward: Literal["stale", "request", "uri-miss"] = "uri-miss"
        if fetched.stale:
            forward = "stale" if max_age == math.inf else "request"
        entry = fetched.entry
        return Answer(entry.body, entry.etag, "db", forward, stored=fetched.stored, collapsed=joined)

    def _hit(self, entry: Entry, layer: Literal["l1", "l2"], now: float, left: float, kept: Kept | None) -> Answer:
        # `now` is when it was seen that it may be served: by a later one, a lease that has ended since would have it
        # given as unproven, whatever the policy.
        namespace = entry.query.namespace
        self._observe(Hit(namespace, layer))
        unproven: Literal["ttl"] | None = None
        if not self._view.proves(namespace, now):
            self._observe(Unproven(namespace, unproven := "ttl"))
        elif self._witness is not None:
            self._witness.hit(entry, layer)
        age = entry.ttl - left
        return Answer(entry.body, entry.etag, layer, ttl=left, age=age, kept=kept, unproven=unproven)

    def _hit_in_redis(self, entry: Entry, now: float) -> Answer:
        return self._hit(entry, "l2", now, max(0.0, self._loading.remaining(entry)), self._kept(entry))

    def _kept(self, entry: Entry) -> Kept | None:
        kept = self._l1.get(entry.query.key)
        return kept if kept is not None and kept.entry is entry else None

    async def _read_through(self, query: Query, load: Load, ttl: float, *, stale: bool, after: float) -> _Fetched:
        async def look() -> Entry | None:
            nonlocal stale
            found, seen = await self._loading.look(query, after=after)
            stale = stale or seen
            return found

        found = await look()
        if found is not None:
            return _Fetched(found, "l2")
        found, turn = await self._fleet.share(query, look)
        if found is not None:
            return _Fetched(found, "l2")
        entry, stored = await self._loading.fill(query, load, ttl, turn)
        return _Fetched(entry, "db", stale, stored)

    async def _bypass(self, query: Query, load: Load, reason: str) -> Answer:
        async def read(flight: Flight[Entry]) -> Entry:
            async with self._loading.place(query):
                flight.begun = True
                return await self._loading.load(query, load, 0.0)

        self._observe(Bypassed(query.namespace, reason))
        if not self._fresh.under_way(query):
            self._loading.refuse_in_vain(query)
        # Without a view nothing is known of changes: only a load that has yet to begin is sure to see them all.
        entry, joined = await self._fresh.run(query, 0, lambda flight: not flight.begun, read)
        if joined:
            self._observe(Joined(query.namespace))
        return Answer(entry.body, entry.etag, "db", "bypass", reason, collapsed=joined)

    async def close(self) -> None:
        """Cancel the loads that are under way."""
        await self._cached.close()
        await self._fresh.close()
        await self._refresh.close()
