"""What a request's Cache-Control asks for (RFC 9111, section 5.2.1)."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

REMEMBERED = 256
MOST_DIGITS = 10


@dataclass(frozen=True, slots=True)
class Directives:
    """`max_age` is the most that the age of an answer may be, in seconds; 0 stands for no-cache, too.

    `stale_if_error` is how stale an answer may be if Postgres cannot be read (RFC 5861); infinity leaves that to the
    setting. `store` is whether the answer may be kept, `only_cached` whether it may come from a cache alone.
    """

    max_age: float = math.inf
    stale_if_error: float = math.inf
    store: bool = True
    only_cached: bool = False

    @classmethod
    @lru_cache(REMEMBERED)
    def of(cls, cache_control: bytes) -> Self:
        """Read the header's value; what it does not say, or we do not know, is not asked for."""
        max_age, store, only_cached = math.inf, True, False
        stale: float | None = None
        for name, argument in _members(cache_control):
            match name:
                case b"no-cache":
                    max_age = 0.0
                case b"max-age":
                    max_age = min(max_age, _seconds(argument))
                case b"stale-if-error" if argument.isdigit():
                    stale = min(math.inf if stale is None else stale, _seconds(argument))
                case b"no-store":
                    store = False
                case b"only-if-cached":
                    only_cached = True
        if stale is None:
            # Whoever minds the age of an answer bears no stale one, unless he says so.
            stale = math.inf if max_age == math.inf else 0.0
        return cls(max_age, stale, store, only_cached)


NOTHING_ASKED = Directives()


def _members(cache_control: bytes) -> Iterator[tuple[bytes, bytes]]:
    for member in cache_control.split(b","):
        name, _, argument = member.partition(b"=")
        yield name.strip().lower(), argument.strip().strip(b'"')


def _seconds(argument: bytes) -> float:
    # What cannot be read is taken for the strictest, as the RFC encourages.
    return float(argument[:MOST_DIGITS]) if argument.isdigit() else 0.0
