"""From the raw target of a request to the query that it means, in one step."""

from typing import NamedTuple

from coherence.query import Query

MOST_TARGETS = 32_768
LONGEST_TARGET = 512
"""Bytes. A longer one is not worth its place: it always goes the long way."""


class Known(NamedTuple):
    """A request that has been validated: what it asks, and the template of its route."""

    query: Query
    template: str


class Table:
    """Targets that were validated the long way. It holds queries and no answers: those come from L1, or not at all.

    Bounded in number, the oldest dropped first: one that is still asked for is back after one request the long way.
    """

    def __init__(self, most: int = MOST_TARGETS) -> None:
        self._known: dict[bytes, Known] = {}
        self._most = most

    def get(self, target: bytes) -> Known | None:
        """Return what `target` is known to mean; None where it is not known."""
        return self._known.get(target)

    def learn(self, target: bytes, known: Known) -> None:
        """Remember what `target` means."""
        if target in self._known or len(target) > LONGEST_TARGET:
            return
        if len(self._known) >= self._most:
            del self._known[next(iter(self._known))]
        self._known[target] = known

    def __len__(self) -> int:
        return len(self._known)


def target_of(path: bytes, query_string: bytes) -> bytes:
    """Return a request's target as the client wrote it, but for an empty query string."""
    return b"%s?%s" % (path, query_string) if query_string else path
