"""The process-local cache: entries in memory, the least recently used dropped first, bounded by bytes."""

import math
from dataclasses import dataclass
from typing import Any

from cachetools import LRUCache

from coherence.entry import Entry

ENTRY_OVERHEAD = 2048
"""Bytes that an entry takes beside its body, its text and its key: objects, its place in the table, prepared heads."""

FORM_OVERHEAD = 1024
"""Bytes that a coded form takes beside its body."""


@dataclass(slots=True)
class Kept:
    """An entry, when it ends on our monotonic clock, and the generation up to which no change is known to affect it.

    A hit from `refresh_at` on, which is never later than `ends`, should have it loaded anew.
    """

    entry: Entry
    ends: float
    judged: int
    refresh_at: float
    prepared: Any = None
    """What the cache's user has made of the entry, to be used again. It goes when the entry goes."""


def _size(kept: Kept) -> int:
    query = kept.entry.query
    coded = sum(len(body) + FORM_OVERHEAD for body in kept.entry.coded.values() if body)
    return len(kept.entry.body) + coded + 2 * len(query.text) + len(query.key) + ENTRY_OVERHEAD


class L1:
    """A byte-bounded LRU of entries by cache key. It does not judge freshness: the reader does."""

    def __init__(self, max_bytes: int) -> None:
        self.longest_ttl = 0.0
        """The longest TTL of all that was ever kept, in seconds."""
        self._kept: LRUCache[str, Kept] = LRUCache(maxsize=max_bytes, getsizeof=_size)

    def get(self, key: str) -> Kept | None:
        """Return what is kept under `key`, whatever its age."""
        return self._kept.get(key)

    def put(self, entry: Entry, ends: float, judged: int = 0, *, refresh_at: float = math.inf) -> bool:
        """Keep `entry`, judged up to a generation (its stamp at least), until `ends`, to be refreshed before that.

        Returns False where it is larger than the whole cache.
        """
        self.longest_ttl = max(self.longest_ttl, entry.ttl)
        kept = Kept(entry, ends, max(judged, entry.stamp), min(ends, refresh_at))
        if _size(kept) > self._kept.maxsize:
            self._kept.pop(entry.query.key, None)
            return False
        self._kept[entry.query.key] = kept
        return True

    def grown(self, entry: Entry) -> None:
        """Count the bytes of `entry` anew, where it is kept: it has been coded. Codings that do not fit are dropped."""
        kept = self._kept.get(entry.query.key)
        if kept is None or kept.entry is not entry:
            return
        if _size(kept) > self._kept.maxsize:
            entry.coded.update(dict.fromkeys(entry.coded, b""))
        self._kept[entry.query.key] = kept

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def bytes(self) -> int:
        """Bytes in use."""
        return int(self._kept.currsize)

    @property
    def max_bytes(self) -> int:
        """Bytes that may be in use."""
        return int(self._kept.maxsize)
