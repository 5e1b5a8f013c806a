"""The Cache-Status header (RFC 9211) of an answer."""

import math

from coherence.cache import Answer

CACHE_NAME = "anomaly-cache"

_HITS = {layer: f"{CACHE_NAME}; hit; ttl=%d; detail={layer}".encode() for layer in ("l1", "l2")}


def hit_status(layer: str, ttl: float) -> bytes:
    """Return the header's value for a hit in `layer` ("l1" or "l2"), which could be served for `ttl` more seconds."""
    return _HITS[layer] % math.ceil(ttl)


def forward_status(answer: Answer) -> bytes:
    """Return the header's value for an answer that no cache had: why, and what became of it."""
    parts = [CACHE_NAME, f"fwd={answer.forward}"]
    if answer.stored:
        parts.append("stored")
    if answer.collapsed:
        parts.append("collapsed")
    parts.append(f"detail={answer.reason or answer.layer}")
    return "; ".join(parts).encode()
