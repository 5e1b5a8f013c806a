"""Which answers are asked for most: counted only while somebody looks on."""

from collections.abc import Mapping
from typing import Any, Literal

from coherence.clock import Clock
from coherence.entry import Entry
from coherence.query import Query

MOST_COUNTED = 2048
"""Answers that are counted between two looks; what comes after that many others is not among the hottest."""

MOST_REMEMBERED = 256
SHOWN = 10
NEWEST_SHARE = 0.2
"""How much the time since the last look counts for, beside all that was before."""

COLD = 0.01
"""Hits a second that are not worth remembering."""


class Hottest:
    """A witness of hits. `look` is to be called about once a second."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._looked = clock()
        self._counts: dict[str, int] = {}
        self._rates: dict[str, float] = {}
        self._queries: dict[str, Query] = {}
        """What is asked, of each cache key that is in one of the two."""

    def hit(self, entry: Entry, layer: Literal["l1", "l2"]) -> None:  # noqa: ARG002 - a witness is told of it
        """Take notice of a hit."""
        query, counts = entry.query, self._counts
        seen = counts.get(query.key, 0)
        if seen == 0:
            if len(counts) >= MOST_COUNTED:
                return
            self._queries[query.key] = query
        counts[query.key] = seen + 1

    def forget(self) -> None:
        """Begin anew: nobody has looked on."""
        self._counts.clear()
        self._rates.clear()
        self._queries.clear()
        self._looked = self._clock()

    def look(self) -> list[Mapping[str, Any]]:
        """Return the hottest answers of the last seconds, JSON-ready, each with its hits a second."""
        now = self._clock()
        counts, self._counts = self._counts, {}
        elapsed, self._looked = max(now - self._looked, 0.001), now
        share = NEWEST_SHARE if self._rates else 1.0
        for key in counts.keys() | self._rates.keys():
            before = self._rates.get(key, 0.0)
            self._rates[key] = before + share * (counts.get(key, 0) / elapsed - before)
        hottest = sorted(self._rates.items(), key=lambda each: each[1], reverse=True)
        self._rates = {key: rate for key, rate in hottest[:MOST_REMEMBERED] if rate > COLD}
        self._queries = {key: self._queries[key] for key in self._rates}
        return [_document(self._queries[key], rate) for key, rate in list(self._rates.items())[:SHOWN]]


def _document(query: Query, rate: float) -> Mapping[str, Any]:
    given = {name: value for name, value in query.parameters.items() if value is not None}
    return {"key": query.key, "namespace": query.namespace, "parameters": given, "per_second": round(rate, 2)}
