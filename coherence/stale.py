"""The last resort: where the database does not answer, what is kept may, marked, and only so old."""

from typing import Literal

from coherence.answer import Answer
from coherence.clock import Clock, RedisClock
from coherence.entry import Entry
from coherence.events import Observer, Unproven
from coherence.l1 import L1, Kept
from coherence.l2 import L2
from coherence.query import Query
from coherence.view import View


class StaleIfError:
    """Finds kept answers that reflect every commit which was visible `seconds` ago; 0 turns it off.

    It is the promise of the cache with another bound, and held by the same proof. An answer is good enough where

    - no change that is known here affects it, and
    - it was loaded within these seconds, or the view was proven complete within them.

    A TTL that has ended says nothing about that, and does not matter.
    """

    def __init__(
        self, seconds: float, *, view: View, redis_clock: RedisClock, l1: L1, l2: L2, clock: Clock, observer: Observer
    ) -> None:
        self.seconds = seconds
        self.in_use = False
        """Whether the last load failed: until one succeeds, answers may come from here."""
        self._view = view
        self._redis_clock = redis_clock
        self._l1 = l1
        self._l2 = l2
        self._clock = clock
        self._observe = observer

    @property
    def left(self) -> float:
        """For how many more seconds what is kept may stand in for a database that does not answer; 0 for none."""
        return max(0.0, self._view.proven + self.seconds - self._clock()) if self.seconds else 0.0

    async def find(self, query: Query, *, at_least: int, within: float) -> Answer | None:
        """Return what is kept of `query`, known to have been right `within` seconds ago; None where nothing is.

        `at_least` is a generation that the caller knows of. Redis is asked where L1 has nothing of use; that takes no
        longer than a command may.
        """
        self.in_use = True
        view, within = self._view, min(within, self.seconds)
        vouched = view.vouched is None or query.namespace in view.vouched
        if within <= 0 or view.distrusted or not vouched or at_least > view.generation:
            return None
        kept = self._l1.get(query.key)
        if kept is not None and kept.entry.query == query:
            age = self._clock() - (kept.ends - kept.entry.ttl)
            if self._good_enough(kept.entry, age, within):
                return self._answer(kept.entry, "l1", age, kept)
        found = await self._l2.get(query)
        if found is not None:
            age = self._redis_clock.at(self._clock()) - found.stored_at
            if self._good_enough(found, age, within):
                return self._answer(found, "l2", age)
        return None

    def _good_enough(self, entry: Entry, age: float, within: float) -> bool:
        return self._since_right(age) <= within and self._view.unaffected(entry.query, entry.stamp, entry.page)

    def _since_right(self, age: float) -> float:
        return min(age, self._clock() - self._view.proven)

    def _answer(self, entry: Entry, layer: Literal["l1", "l2"], age: float, kept: Kept | None = None) -> Answer:
        self._observe(Unproven(entry.query.namespace, "stale-if-error"))
        return Answer(
            entry.body,
            entry.etag,
            layer,
            ttl=-self._since_right(age),
            age=age,
            kept=kept,
            unproven="stale-if-error",
        )
