"""Reads a sample of the hits again, one at a time, and reports what `audit` makes of them."""

import asyncio
import math
import random
from collections.abc import Awaitable, Callable
from typing import Literal, NoReturn

from coherence.audit import Judge, Outcome, Reading, Sample
from coherence.clock import Clock
from coherence.entry import Entry
from coherence.events import AuditDropped, Audited, Observer
from coherence.gate import Gate, Unavailable
from coherence.query import Query
from coherence.timing import Timing
from coherence.view import View

SHARE = 0.05
"""Most of the time that it may be reading: after each reading it rests for as long as that takes."""

LEAST_REST_SECONDS = 0.02
LOOK_SECONDS = 0.05
"""How often it looks whether an outcome can be told yet."""

Reread = Callable[[Query], Awaitable[bytes | None]]
"""Reads the answer to a query from the database, None where there is none any more. Raises Unavailable."""


class Sampler:
    """Picks hits at random, on average the share `rate` of them, and hands them to `take`."""

    def __init__(self, rate: float, take: Callable[[Sample], None], *, view: View, clock: Clock) -> None:
        self._rate = rate
        self._take = take
        self._view = view
        self._clock = clock
        self._until_next = self._gap()

    def hit(self, entry: Entry, layer: Literal["l1", "l2"]) -> None:
        """Take notice of a hit."""
        self._until_next -= 1
        if self._until_next > 0:
            return
        self._until_next = self._gap()
        self._take(Sample(entry, layer, self._clock(), self._view.generation, self._view.proven))

    def _gap(self) -> float:
        """Return how many hits further the next one is, so that each is picked as likely as any other."""
        if self._rate >= 1:
            return 1
        return 1 + math.floor(math.log(1 - random.random()) / math.log1p(-self._rate))  # noqa: S311 - no secret


class Auditor:
    """Looks at one sample at a time, in places of `gate` for which nobody waits.

    At most 50 a second, and for at most a twentieth of the time. The newest sample is the next; others are dropped.
    """

    def __init__(
        self, view: View, timing: Timing, reread: Reread, *, gate: Gate, clock: Clock, observer: Observer
    ) -> None:
        self._view = view
        self._judge = Judge(view, timing.bound, margin=timing.bound - timing.lease, patience=2 * timing.bound)
        self._reread = reread
        self._gate = gate
        self._clock = clock
        self._observe = observer
        self._next: Sample | None = None
        self._offered = asyncio.Event()

    def sampler(self, rate: float) -> Sampler | None:
        """Return what offers the share `rate` of the hits that it is told of; None for none."""
        return Sampler(rate, self.offer, view=self._view, clock=self._clock) if rate > 0 else None

    def offer(self, sample: Sample) -> None:
        """Have `sample` looked at, if no newer one comes before its turn does."""
        if self._next is not None:
            self._observe(AuditDropped(self._next.entry.query.namespace))
        self._next = sample
        self._offered.set()

    async def run(self) -> NoReturn:
        """Look at what is offered, until cancelled."""
        while True:
            await self._offered.wait()
            self._offered.clear()
            sample, self._next = self._next, None
            if sample is not None:
                await self.look(sample)

    async def look(self, sample: Sample) -> None:
        """Look at one sample, report the outcome, and rest."""
        if self._gate.busy:
            self._observe(AuditDropped(sample.entry.query.namespace))
            await asyncio.sleep(LEAST_REST_SECONDS)
            return
        started = self._clock()
        reading = await self._read(sample)
        rest = max(LEAST_REST_SECONDS, (self._clock() - started) * (1 / SHARE - 1))
        outcome = await self._decide(sample, reading) if reading is not None else Outcome.FAILED
        self._observe(Audited(self._judge.find(sample, reading, outcome, self._clock())))
        await asyncio.sleep(rest)

    async def _read(self, sample: Sample) -> Reading | None:
        try:
            async with self._gate.place():
                body = await self._reread(sample.entry.query)
        except Unavailable:
            return None
        return Reading(body, self._clock())

    async def _decide(self, sample: Sample, reading: Reading) -> Outcome:
        while True:
            outcome = self._judge.decide(sample, reading, self._clock())
            if outcome is not None:
                return outcome
            await asyncio.sleep(LOOK_SECONDS)
