"""Loads a hot answer anew shortly before its TTL ends, so that nobody who reads it all the time ever waits for it."""

import asyncio
from typing import Literal

from coherence.clock import Clock
from coherence.events import Observer, Refreshed
from coherence.fleet_flight import FleetFlight
from coherence.gate import Gate
from coherence.l1 import Kept
from coherence.loading import Load, Loading
from coherence.query import Query
from coherence.tasks import end

SHARE = 4
"""Refreshes take at most one in so many of the places to load in."""


class Refresh:
    """Refreshes in the background, few at once, and none while requests wait for the database."""

    def __init__(self, *, loading: Loading, fleet: FleetFlight, gate: Gate, clock: Clock, observer: Observer) -> None:
        self._loading = loading
        self._fleet = fleet
        self._gate = gate
        self._most = max(1, gate.places // SHARE)
        self._clock = clock
        self._observe = observer
        self._under_way: dict[Query, asyncio.Task[None]] = {}

    def begin(self, kept: Kept, load: Load, ttl: float) -> None:
        """Begin to load `kept` anew, in the background. A later hit tries again if nothing comes of it."""
        query = kept.entry.query
        # The next try is when half of what is left has passed: a few tries, ever denser.
        kept.refresh_at = (kept.ends + self._clock()) / 2
        if query in self._under_way:
            return
        if self._gate.busy or len(self._under_way) >= self._most:
            self._observe(Refreshed(query.namespace, "busy"))
            return
        task = asyncio.create_task(self._refresh(kept, load, ttl), name=f"refresh {query.key}")
        self._under_way[query] = task
        task.add_done_callback(lambda _: self._ended(query, task))

    def _ended(self, query: Query, task: asyncio.Task[None]) -> None:
        del self._under_way[query]
        if not task.cancelled():
            # It has been reported, and nobody waits for it.
            task.exception()

    async def close(self) -> None:
        """Cancel what is under way."""
        await end(*self._under_way.values())

    async def _refresh(self, kept: Kept, load: Load, ttl: float) -> None:
        outcome: Literal["loaded", "taken", "left", "error"] = "error"
        try:
            outcome = await self._try(kept, load, ttl)
        finally:
            self._observe(Refreshed(kept.entry.query.namespace, outcome))

    async def _try(self, kept: Kept, load: Load, ttl: float) -> Literal["loaded", "taken", "left"]:
        query = kept.entry.query
        found, _ = await self._loading.look(query, after=kept.entry.stored_at)
        if found is not None:
            return "taken"
        turn = await self._fleet.take(query)
        if turn is not None and not turn.ours:
            return "left"
        _, stored = await self._loading.fill(query, load, ttl, turn.value if turn is not None else b"")
        return "loaded" if stored else "left"
