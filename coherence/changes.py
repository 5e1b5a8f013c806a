"""What changed, and the message that says so. Sans-IO: values, their wire form, and its parsing."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from coherence.rows import RowChange, columns_of, rows_as_wire, rows_from_wire

GENERATION_LIMIT = 2**53
"""Generations are below this: the largest whole numbers that Lua's doubles count without gaps."""

CAUSE_MAX_LENGTH = 32
KEY_MAX_LENGTH = 256
MOST_ROWS_PER_BUMP = 1000
_TRACE = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


class MalformedMessage(ValueError):  # noqa: N818 - it names what came, not a fault of ours
    """A message that is not one of ours; whoever gets it must assume that everything changed."""


@dataclass(frozen=True, slots=True)
class Change:
    """A namespace in which rows changed (None: in every namespace), why, and how many notifications said so.

    `rows` are all the rows that changed, each with the same columns; None where they are not known one by one, and
    `overflow` says why, where they could have been. With a `key` no row changed: only the answer under that cache key
    is outdated.
    """

    namespace: str | None
    cause: str
    notifications: int = 1
    rows: tuple[RowChange, ...] | None = None
    overflow: str | None = None
    key: str | None = None

    def as_wire(self) -> list[object]:
        """Return the JSON-ready form."""
        head: list[object] = [self.namespace, self.cause, self.notifications]
        if self.key is not None:
            # Who does not know of keys reads a change of the whole namespace.
            return [*head, self.key]
        return head if self.rows is None else [*head, *rows_as_wire(self.rows)]

    @classmethod
    def from_wire(cls, wire: object) -> Self:
        """Parse the JSON-ready form. Raises MalformedMessage."""
        match wire:
            case [str() | None as namespace, str() as cause, int() as notifications, *rows] if (
                len(cause) <= CAUSE_MAX_LENGTH and 0 <= notifications < GENERATION_LIMIT
            ):
                match rows:
                    case [str() as key] if len(key) <= KEY_MAX_LENGTH:
                        return cls(namespace, cause, notifications, key=key)
                return cls(namespace, cause, notifications, rows_from_wire(rows))
        raise MalformedMessage("not a change")


def merge(changes: Iterable[Change]) -> tuple[Change, ...]:
    """Sum up changes of the same namespace, cause, key and columns, in the order of their first appearance.

    More than MOST_ROWS_PER_BUMP rows of one kind become a change of the whole namespace.
    """
    groups: dict[tuple[object, ...], list[Change]] = {}
    for change in changes:
        identity = (change.namespace, change.cause, change.key, change.rows and columns_of(change.rows))
        groups.setdefault(identity, []).append(change)
    return tuple(_sum(group) for group in groups.values())


def _sum(group: list[Change]) -> Change:
    first = group[0]
    if len(group) == 1 and len(first.rows or ()) <= MOST_ROWS_PER_BUMP:
        return first
    rows = None if first.rows is None else tuple(row for change in group for row in change.rows or ())
    overflow = first.overflow
    if rows is not None and len(rows) > MOST_ROWS_PER_BUMP:
        rows, overflow = None, "bump"
    return Change(
        first.namespace, first.cause, sum(change.notifications for change in group), rows, overflow, first.key
    )


@dataclass(frozen=True, slots=True)
class Bump:
    """A new generation, the one that it follows, and what changed between the two.

    `previous` is 0 where Redis had none. `made_at` is Redis' time in seconds, `database` the number of the Redis
    database that it is about. `acknowledge` asks every cache that gets it to say so. `trace` is the trace context that
    it was made in, as W3C's `traceparent` has it; "" for none.
    """

    previous: int
    generation: int
    changes: tuple[Change, ...]
    made_at: float
    database: int = 0
    acknowledge: bool = False
    trace: str = ""

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
                **rest,
            } if 0 <= previous < generation < GENERATION_LIMIT and 0 <= made_at_us < GENERATION_LIMIT:
                return cls(
                    previous,
                    generation,
                    tuple(Change.from_wire(change) for change in changes),
                    made_at_us / 1e6,
                    database,
                    acknowledge,
                    trace_of(rest.get("trace")),
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


def trace_of(text: object) -> str:
    """Return `text` where it is a trace context, and "" for anything else: a message is no worse for it."""
    return text if isinstance(text, str) and _TRACE.fullmatch(text) else ""


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
