"""The Cache-Status header (RFC 9211) of an answer."""

import math

from coherence.cache import Answer

CACHE_NAME = "anomaly-cache"

_HITS = {layer: (f"{CACHE_NAME}; hit; ttl=", f"; detail={layer}") for layer in ("l1", "l2")}


def cache_status(answer: Answer) -> bytes:
    """Return the header's value: a hit with its TTL in seconds and its layer, or why it was forwarded."""
    if answer.forward is None:
        front, back = _HITS[answer.layer]
        return f"{front}{math.ceil(answer.ttl or 0.0)}{back}".encode()
    parts = [CACHE_NAME, f"fwd={answer.forward}"]
    if answer.stored:
        parts.append("stored")
    if answer.collapsed:
        parts.append("collapsed")
    parts.append(f"detail={answer.reason or answer.layer}")
    return "; ".join(parts).encode()
