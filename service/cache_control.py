"""What a request's Cache-Control asks for."""

import math
import re

_FRESH_DIRECTIVES = {b"no-cache", b"no-store", b"max-age=0"}
_STALE_IF_ERROR = re.compile(rb"(?:^|,)[ \t]*stale-if-error=\"?([0-9]{1,9})\"?[ \t]*(?:,|$)")


def asks_for_fresh(cache_control: bytes) -> bool:
    """Tell whether an answer from the origin is wanted."""
    return any(directive.strip().lower() in _FRESH_DIRECTIVES for directive in cache_control.split(b","))


def bears_stale(cache_control: bytes) -> float:
    """Return how stale an answer may be if Postgres cannot be read, by stale-if-error (RFC 5861), in seconds.

    Infinity, which leaves it to the setting, where nothing readable is said.
    """
    found = _STALE_IF_ERROR.search(cache_control.lower())
    return float(found[1]) if found else math.inf
