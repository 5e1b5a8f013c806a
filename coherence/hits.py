"""Who is told of each hit that was proven fresh: a sample of them is audited, and an operator may be looking on."""

from typing import Literal, Protocol

from coherence.entry import Entry


class Witness(Protocol):
    """Takes hits as they happen, on the hit path: it must neither block nor raise."""

    def hit(self, entry: Entry, layer: Literal["l1", "l2"]) -> None:
        """Take notice of a hit."""


class Both:
    """Two witnesses as one."""

    def __init__(self, one: Witness, other: Witness) -> None:
        self._one = one
        self._other = other

    def hit(self, entry: Entry, layer: Literal["l1", "l2"]) -> None:
        """Tell both."""
        self._one.hit(entry, layer)
        self._other.hit(entry, layer)
