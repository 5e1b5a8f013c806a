"""Log lines of what may happen very often: the first at once, then at most one a second, summing up."""

from collections.abc import Callable
from dataclasses import dataclass, field

SECONDS_BETWEEN = 1.0
MOST_CAUSES = 8


@dataclass(slots=True)
class Tally:
    """What happened since the last line: how often, how much, for which causes, and the latest and worst of it."""

    times: int = 0
    amount: int = 0
    causes: set[str] = field(default_factory=set)
    latest: int = 0
    worst: float = 0.0


class Coalescing:
    """Calls `write(subject, tally)` now, or later with what comes in between.

    `later(seconds, function)` calls a function after a while, as an event loop's call_later does.
    """

    def __init__(
        self, write: Callable[[str, Tally], None], later: Callable[[float, Callable[[], None]], object]
    ) -> None:
        self._write = write
        self._later = later
        self._tallies: dict[str, Tally] = {}

    def add(self, subject: str, cause: str, *, amount: int = 1, latest: int = 0, seconds: float = 0.0) -> None:
        """Something happened to `subject`."""
        waiting = self._tallies.get(subject)
        tally = waiting if waiting is not None else Tally()
        tally.times += 1
        tally.amount += amount
        if len(tally.causes) < MOST_CAUSES:
            tally.causes.add(cause)
        tally.latest = max(tally.latest, latest)
        tally.worst = max(tally.worst, seconds)
        if waiting is None:
            self._write_and_wait(subject, tally)

    def flush(self) -> None:
        """Write all that waits."""
        for subject, tally in self._tallies.items():
            if tally.times:
                self._write(subject, tally)
        self._tallies.clear()

    def _write_and_wait(self, subject: str, tally: Tally) -> None:
        self._write(subject, tally)
        self._tallies[subject] = Tally()
        self._later(SECONDS_BETWEEN, lambda: self._due(subject))

    def _due(self, subject: str) -> None:
        tally = self._tallies.pop(subject, None)
        if tally is not None and tally.times:
            self._write_and_wait(subject, tally)
