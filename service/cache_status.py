"""The Cache-Status header (RFC 9211) of an answer."""

import math

from coherence.answer import Answer

CACHE_NAME = "anomaly-cache"

_HITS = {layer: f"{CACHE_NAME}; hit; ttl=%d; detail={layer}".encode() for layer in ("l1", "l2")}


def hit_status(layer: str, ttl: float) -> bytes:
    """Return the header's value for a hit in `layer` ("l1" or "l2"), which could be served for `ttl` more seconds."""
    return _HITS[layer] % math.ceil(ttl)


def unproven_status(answer: Answer) -> bytes:
    """Return the header's value for a hit that nothing proves fresh: `detail` says where it was, and why it is used."""
    why = "no-lease" if answer.unproven == "ttl" else "stale-if-error"
    # Rounded to what promises less: -1 for one that was right half a second ago.
    return f"{CACHE_NAME}; hit; ttl={math.floor(answer.ttl)}; detail={answer.layer}-{why}".encode()


def forward_status(answer: Answer) -> bytes:
    """Return the header's value for an answer that no cache had: why, and what became of it."""
    parts = [CACHE_NAME, f"fwd={answer.forward}"]
    if answer.stored:
        parts.append("stored")
    if answer.collapsed:
        parts.append("collapsed")
    parts.append(f"detail={answer.reason or answer.layer}")
    return "; ".join(parts).encode()
