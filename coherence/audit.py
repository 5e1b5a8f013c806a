"""Whether an answer from the cache was right: a hit is read again from the database, and the two compared. Sans-IO.

What is a violation? A cached answer may be old: the promise is only that it reflects every commit that was visible
a bound before. So an answer that differs from the database is no proof of anything; a change may be on its way. It
becomes one by waiting. Let the second reading have ended at R, and differ. Some commit that was visible at R made the
difference. The view's proof advances with each lease: once it says that every commit which was visible at R has been
applied here, the change that made the difference is among those that the view has heard of, or it never will be.

- The view knows a change after the answer's stamp that affects it: it was **changed**; the invalidation was on its way.
- It knows of none: this process would serve the answer still, against a commit that its proof covers. A **violation**,
  whatever the cause: a change that no trigger announced, a message that was lost, a row judged wrongly to spare the
  answer, a forged entry. A change that comes too late is one, too: told after the proof that should have included it.
- The proof never gets there, for the lease is lost: **undecided**. Nothing is served then.

A writer that is always busy raises no false alarm: whatever is announced explains a difference. It may hide one: a
change that is lost is not seen where another affects the same answer in the same moment. Sampling goes on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from typing import Literal

from coherence.entry import Entry, etag_of
from coherence.view import View

MOST_JUDGED = 5


class Outcome(Enum):
    """What became of looking at a hit again."""

    SAME = "same"
    CHANGED = "changed"
    VIOLATION = "violation"
    UNDECIDED = "undecided"
    FAILED = "failed"
    """The database could not be read."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A hit: what was answered, from where, and when (our own clock); the view's generation and proof then."""

    entry: Entry
    layer: Literal["l1", "l2"]
    served_at: float
    generation: int
    proven: float


@dataclass(frozen=True, slots=True)
class Reading:
    """What the database says: the body (None: there is no such answer any more), and when the reading had ended."""

    body: bytes | None
    ended: float


@dataclass(frozen=True, slots=True)
class Finding:
    """A sample's outcome, and what a person needs to understand it."""

    sample: Sample
    outcome: Outcome
    facts: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Judge:
    """Decides for one view. `margin` is what the proof must exceed a reading by, and `patience` how long is waited.

    Both are in seconds. The margin is for clocks that differ in rate, as `Timing` has it.
    """

    view: View
    bound: float
    margin: float
    patience: float

    def decide(self, sample: Sample, reading: Reading, now: float) -> Outcome | None:
        """Return the outcome; None while it is too early to tell."""
        if reading.body == sample.entry.body:
            return Outcome.SAME
        if not self.spares(sample):
            return Outcome.CHANGED
        namespace = sample.entry.query.namespace
        if self.view.vouched is not None and namespace not in self.view.vouched:
            return Outcome.UNDECIDED
        if self.view.proven >= reading.ended + self.margin:
            return Outcome.VIOLATION
        return Outcome.UNDECIDED if now > reading.ended + self.patience else None

    def spares(self, sample: Sample) -> bool:
        """Tell whether no change that is known here affects what was answered."""
        entry = sample.entry
        return self.view.unaffected(entry.query, entry.stamp, entry.page)

    def find(self, sample: Sample, reading: Reading | None, outcome: Outcome, now: float) -> Finding:
        """Return the finding, with all that is known of it."""
        view, entry = self.view, sample.entry
        affecting = view.history.affecting(entry.query, entry.page, entry.stamp)
        judged = view.history.judged(entry.query, entry.page, entry.stamp)
        facts = {
            "namespace": entry.query.namespace,
            "query": entry.query.text,
            "key": entry.query.key,
            "layer": sample.layer,
            "stamp": entry.stamp,
            "etag_served": etag_of(entry.body),
            "etag_now": etag_of(reading.body) if reading is not None and reading.body is not None else None,
            "page": entry.page and entry.page.as_wire(),
            "ttl": entry.ttl,
            "stored_at": entry.stored_at,
            "served_seconds_ago": round(now - sample.served_at, 3),
            "read_seconds_ago": reading and round(now - reading.ended, 3),
            "generation_served": sample.generation,
            "generation_now": view.generation,
            "proof_age_served": round(sample.served_at - sample.proven, 3),
            "proof_age_now": round(now - view.proven, 3),
            "lease_left": round(max(0.0, view.valid_until - now), 3),
            "bound": self.bound,
            "history": "no change after the stamp affects it" if affecting is None else affecting.why,
            "judged": [
                {"generation": generation, "why": verdict.value, "old": row.old, "new": row.new}
                for generation, row, verdict in islice(judged, MOST_JUDGED)
            ],
        }
        return Finding(sample, outcome, facts)
