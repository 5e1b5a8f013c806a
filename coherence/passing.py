"""A change on its way to the processes: what is told of it, and when all has been told. Sans-IO."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from coherence.changes import Bump, Change
from coherence.presence import Presence

PATIENCE_SECONDS = 3.0
"""How long a change waits for what the processes say of it: they speak once a second."""

EVERYTHING = "everything"


@dataclass(slots=True)
class Passing:
    """A generation: when it was made (Unix time by Redis' clock), what changed, and how it got to each process.

    `rows` is how many rows changed, None where that is not known, 0 where single answers were purged. `milliseconds`
    are by process ("host:pid"), None for one that has not said so.
    """

    generation: int
    made_at: float
    namespaces: tuple[str, ...]
    causes: tuple[str, ...]
    rows: int | None
    notifications: int
    milliseconds: dict[str, float | None] = field(default_factory=dict)

    @classmethod
    def of(cls, bump: Bump) -> Self:
        """Return what is to be told of a bump."""
        counts = [_rows(change) for change in bump.changes]
        return cls(
            generation=bump.generation,
            made_at=bump.made_at,
            namespaces=tuple(dict.fromkeys(change.namespace or EVERYTHING for change in bump.changes)),
            causes=tuple(dict.fromkeys(change.cause for change in bump.changes)),
            rows=None if None in counts else sum(count for count in counts if count is not None),
            notifications=sum(change.notifications for change in bump.changes),
        )

    def as_document(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        return {
            "time": self.made_at,
            "generation": self.generation,
            "namespaces": self.namespaces,
            "causes": self.causes,
            "rows": self.rows,
            "notifications": self.notifications,
            "milliseconds": self.milliseconds,
        }

    def as_line(self) -> str:
        """Return the line for a person, the time by the reader's own time zone."""
        at = time.strftime("%H:%M:%S", time.localtime(self.made_at)) + f".{int(self.made_at * 1000) % 1000:03}"
        rows = EVERYTHING if self.rows is None else f"{self.rows} row" + ("" if self.rows == 1 else "s")
        if self.rows == 0:
            rows = "one answer"
        each = "  ".join(
            f"{process} {'?' if late is None else f'{late:.1f} ms'}" for process, late in self.milliseconds.items()
        )
        return f"{at}  {','.join(self.namespaces)}  {rows}  {','.join(self.causes)}  {each or 'no API process'}"


def _rows(change: Change) -> int | None:
    if change.key is not None:
        return 0
    return None if change.rows is None else len(change.rows)


class Witnesses:
    """Holds changes back until every process that is there has said how long they took to it."""

    def __init__(self) -> None:
        self._waiting: dict[int, tuple[Passing, float]] = {}
        self._there: frozenset[str] | None = None

    @property
    def waiting(self) -> bool:
        """Whether there is a change of which not all has been told."""
        return bool(self._waiting)

    def see(self, passing: Passing, now: float) -> None:
        """Take a change that passed at `now`, in seconds on a clock that is never set back."""
        self._waiting[passing.generation] = passing, now

    def hear(self, found: Sequence[Presence]) -> None:
        """Take what the processes say of themselves."""
        processes = {f"{each.host}:{each.pid}": each for each in found if each.kind == "api"}
        self._there = frozenset(processes)
        for name, presence in processes.items():
            for applied in presence.applied:
                if applied.generation in self._waiting:
                    self._waiting[applied.generation][0].milliseconds[name] = applied.milliseconds

    def told(self, now: float) -> Iterator[Passing]:
        """Give each change, in order, that all processes have spoken of, or that has waited long enough."""
        for generation in sorted(self._waiting):
            passing, since = self._waiting[generation]
            missing = None if self._there is None else self._there - passing.milliseconds.keys()
            if (missing is None or missing) and now - since < PATIENCE_SECONDS:
                return
            passing.milliseconds |= dict.fromkeys(sorted(missing or ()))
            del self._waiting[generation]
            yield passing
