"""What changed, and the message that says so. Sans-IO: values, their wire form, and its parsing."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

GENERATION_LIMIT = 2**53
"""Generations are below this: the largest whole numbers that Lua's doubles count without gaps."""

CAUSE_MAX_LENGTH = 32


class MalformedMessage(ValueError):  # noqa: N818 - it names what came, not a fault of ours
    """A message that is not one of ours; whoever gets it must assume that everything changed."""


@dataclass(frozen=True, slots=True)
class Change:
    """A namespace in which rows changed (None: in every namespace), why, and how many notifications said so."""

    namespace: str | None
    cause: str
    notifications: int = 1

    def as_wire(self) -> list[object]:
        """Return the JSON-ready form."""
        return [self.namespace, self.cause, self.notifications]

    @classmethod
    def from_wire(cls, wire: object) -> Self:
        """Parse the JSON-ready form. Raises MalformedMessage."""
        match wire:
            case [str() | None as namespace, str() as cause, int() as notifications, *_] if (
                len(cause) <= CAUSE_MAX_LENGTH and 0 <= notifications < GENERATION_LIMIT
            ):
                return cls(namespace, cause, notifications)
        raise MalformedMessage("not a change")


def merge(changes: Iterable[Change]) -> tuple[Change, ...]:
    """Sum up changes of the same namespace and cause, in the order of their first appearance."""
    sums: dict[tuple[str | None, str], int] = {}
    for change in changes:
        identity = (change.namespace, change.cause)
        sums[identity] = sums.get(identity, 0) + change.notifications
    return tuple(Change(namespace, cause, count) for (namespace, cause), count in sums.items())


@dataclass(frozen=True, slots=True)
class Bump:
    """A new generation, the one that it follows, and what changed between the two.

    `previous` is 0 where Redis had none. `made_at` is Redis' time in seconds, `database` the number of the Redis
    database that it is about. `acknowledge` asks every cache that gets it to say so.
    """

    previous: int
    generation: int
    changes: tuple[Change, ...]
    made_at: float
    database: int = 0
    acknowledge: bool = False

    @classmethod
    def from_wire(cls, wire: bytes) -> Self:
        """Parse a message of the `changes` channel, as the Lua functions write it. Raises MalformedMessage."""
        match _object(wire):
            case {
                "previous": int() as previous,
                "generation": int() as generation,
                "changes": list() as changes,
                "made_at_us": int() as made_at_us,
                "database": int() as database,
                "acknowledge": bool() as acknowledge,
            } if 0 <= previous < generation < GENERATION_LIMIT and 0 <= made_at_us < GENERATION_LIMIT:
                return cls(
                    previous,
                    generation,
                    tuple(Change.from_wire(change) for change in changes),
                    made_at_us / 1e6,
                    database,
                    acknowledge,
                )
        raise MalformedMessage("not a bump")


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """A cache's word that it has applied a generation."""

    generation: int
    process: str

    def as_wire(self) -> bytes:
        """Return the message of the `acknowledgements` channel."""
        return json.dumps({"generation": self.generation, "process": self.process}).encode()

    @classmethod
    def from_wire(cls, wire: bytes) -> Self:
        """Parse a message of the `acknowledgements` channel. Raises MalformedMessage."""
        match _object(wire):
            case {"generation": int() as generation, "process": str() as process}:
                return cls(generation, process)
        raise MalformedMessage("not an acknowledgement")


def parse_generation(text: bytes | None) -> int | None:
    """Return the generation that the generation key's value says, or None for anything that is not one."""
    if text is None or not text.isdigit() or len(text) > len(str(GENERATION_LIMIT)):
        return None
    generation = int(text)
    return generation if 0 < generation < GENERATION_LIMIT else None


def _object(wire: bytes) -> object:
    try:
        return json.loads(wire)
    except (ValueError, RecursionError):
        raise MalformedMessage("not JSON") from None
