"""What a reader gets."""

from dataclasses import dataclass
from typing import Literal

from coherence.l1 import Kept


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer's bytes, and how they came about.

    `layer` says where they were; `forward` why they were loaded (None: they were not), `reason` why the caches were
    bypassed (None: they were not). Of one from a cache, `ttl` is how many seconds it could still be served for, `age`
    how long ago it was loaded, and `kept` what L1 has, if it does. `stored` says whether it is kept now, `collapsed`
    whether it shares another request's load.

    `unproven` is the policy by which a cached answer was given that could not be proven fresh, None for any other. With
    "ttl" it is no older than its TTL; with "stale-if-error", `ttl` is negative: the seconds since it was known right.
    """

    body: bytes
    etag: str
    layer: Literal["l1", "l2", "db"]
    forward: Literal["uri-miss", "stale", "request", "bypass"] | None = None
    reason: str | None = None
    ttl: float = 0.0
    age: float = 0.0
    kept: Kept | None = None
    unproven: Literal["ttl", "stale-if-error"] | None = None
    stored: bool = False
    collapsed: bool = False


class NotCached(Exception):  # noqa: N818 - a state of the world
    """No cache has an answer that may be given, and it was not to be loaded."""
