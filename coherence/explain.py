"""Why a query is answered from where it is: what is kept of it, and what the changes since mean for that."""

from dataclasses import dataclass
from itertools import islice
from typing import Literal

from coherence.clock import Clock, RedisClock
from coherence.entry import Entry
from coherence.history import Affecting
from coherence.l1 import L1
from coherence.l2 import L2
from coherence.query import Query
from coherence.rows import RowChange
from coherence.view import View

MOST_JUDGED = 20


@dataclass(frozen=True, slots=True)
class Judgement:
    """A changed row that the entry has met, and what it means for it."""

    generation: int
    why: str
    row: RowChange


@dataclass(frozen=True, slots=True)
class Explanation:
    """What is known of a query here and now. Times are in seconds; `affected_by` is why an entry is not served.

    `believed` says whether anything that is kept of its namespace may be served: with a lease, or by the policy.
    `last_affected_by` is the latest known change that affects such an answer, be it before the entry was made.
    `judged` are the latest changed rows since the entry's stamp, the newest first.
    """

    query: Query
    generation: int
    lease_left: float
    believed: bool
    layer: Literal["l1", "l2"] | None = None
    entry: Entry | None = None
    ttl_left: float = 0.0
    affected_by: Affecting | None = None
    judged: tuple[Judgement, ...] = ()
    last_affected_by: Affecting | None = None

    @property
    def served(self) -> bool:
        """Whether a request now would be answered with the entry."""
        current = self.entry is not None and self.entry.stamp <= self.generation
        return current and self.believed and self.ttl_left > 0 and self.affected_by is None


class Explainer:
    """Looks at the caches of one process as a reader would, without changing what they hold."""

    def __init__(self, *, view: View, redis_clock: RedisClock, l1: L1, l2: L2, clock: Clock) -> None:
        self._view = view
        self._redis_clock = redis_clock
        self._l1 = l1
        self._l2 = l2
        self._clock = clock

    async def explain(self, query: Query) -> Explanation:
        """Return what is known of `query`. An entry in L1 hides one in L2 while it is served, as for a reader."""
        local = self._from_l1(query)
        if local.served:
            return local
        found = await self._l2.get(query)
        if found is None:
            return local
        left = found.remaining(self._redis_clock.at(self._clock()))
        shared = self._of(query, "l2", found, left)
        return shared if shared.served or local.entry is None else local

    def _from_l1(self, query: Query) -> Explanation:
        kept = self._l1.get(query.key)
        if kept is None or kept.entry.query != query:
            last = self._view.history.latest(query, None)
            left, believed = self._lease_left(query), self._believed(query)
            return Explanation(query, self._view.generation, left, believed, last_affected_by=last)
        return self._of(query, "l1", kept.entry, kept.ends - self._clock())

    def _of(self, query: Query, layer: Literal["l1", "l2"], entry: Entry, left: float) -> Explanation:
        history = self._view.history
        judged = (
            Judgement(generation, verdict.value, row)
            for generation, row, verdict in history.judged(query, entry.page, entry.stamp)
        )
        return Explanation(
            query,
            self._view.generation,
            self._lease_left(query),
            self._believed(query),
            layer,
            entry,
            max(0.0, left),
            history.affecting(query, entry.page, entry.stamp),
            tuple(islice(judged, MOST_JUDGED)),
            history.latest(query, entry.page),
        )

    def _believed(self, query: Query) -> bool:
        return self._view.serves(query.namespace, self._clock())

    def _lease_left(self, query: Query) -> float:
        now = self._clock()
        return self._view.valid_until - now if self._view.proves(query.namespace, now) else 0.0
