"""Which content codings a client takes: Accept-Encoding (RFC 9110, section 12.5.3)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

IDENTITY = "identity"
REMEMBERED = 256
"""How many values of the header are remembered in read form."""

_ITEM = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*(?:;[ \t]*[qQ]=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?))?")


@dataclass(frozen=True, slots=True)
class Accepted:
    """The codings to choose from, the most wanted first, and whether plain bytes will do as well.

    What is less wanted than plain bytes is left out where those will do.
    """

    codings: tuple[str, ...] = ()
    identity: bool = True


ANYTHING = Accepted()
"""What is made of a request without the header: plain bytes."""


class Negotiation:
    """Reads the header for a server that has `codings`, the one that it prefers first."""

    def __init__(self, codings: Sequence[str]) -> None:
        self._codings = tuple(codings)
        self.accepted = lru_cache(REMEMBERED)(self._accepted)

    def _accepted(self, header: bytes | None) -> Accepted:
        """Return what the header's value (None: there is no header) leaves to choose from.

        Members of the list that are not of the RFC's form are passed over.
        """
        if header is None:
            return ANYTHING
        weights = _weights(header)
        others = weights.get("*", 0.0)
        # Without a word on it, plain bytes are acceptable, unless `*` is not; but any coding that is named goes before.
        refused = others == 0.0 and "*" in weights
        plain = weights.get(IDENTITY, 0.0 if refused else None)
        wanted = {coding: weights.get(coding, others) for coding in self._codings}
        codings = [coding for coding, weight in wanted.items() if weight > 0 and weight >= (plain or 0)]
        return Accepted(tuple(sorted(codings, key=lambda c: -wanted[c])), identity=plain is None or plain > 0)


def _weights(header: bytes) -> dict[str, float]:
    weights: dict[str, float] = {}
    for member in header.split(b","):
        item = _ITEM.fullmatch(member.strip(b" \t"))
        if item is not None:
            name = item[1].decode().lower().removeprefix("x-")
            weights[name] = float(item[2]) if item[2] is not None else 1.0
    return weights
