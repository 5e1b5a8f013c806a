"""The listener's log lines, an observer of its events: transitions, and `cache invalidated`."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from coherence.changes import Change
from listener.events import (
    Bumped,
    BumpFailed,
    Disconnected,
    Event,
    Evicted,
    LeaseRenewed,
    LeaseWithheld,
    RoleTaken,
    Swept,
)

LEAST_SECONDS_BETWEEN = 1.0
"""Seconds from one line about a namespace to the next; what comes between is summed up in that one."""


@dataclass(slots=True)
class _Sum:
    """What a namespace's next line will say."""

    not_before: float = 0.0
    generation: int = 0
    bumps: int = 0
    causes: dict[str, int] = field(default_factory=dict)

    def add(self, generation: int, change: Change) -> None:
        self.generation = generation
        self.bumps += 1
        self.causes[change.cause] = self.causes.get(change.cause, 0) + change.notifications


class Journal:
    """Writes to `log`. `clock` tells seconds; `later` calls a function after so many seconds, as an event loop does."""

    def __init__(
        self,
        log: structlog.stdlib.BoundLogger,
        *,
        clock: Callable[[], float],
        later: Callable[[float, Callable[[], None]], asyncio.TimerHandle | None],
    ) -> None:
        self._log = log
        self._clock = clock
        self._later = later
        self._sums: dict[str | None, _Sum] = {}
        self._timer_set = False
        self._last: dict[str, object] = {}

    def __call__(self, event: Event) -> None:  # noqa: C901, PLR0912 - one case an event
        """Take an event."""
        match event:
            case Bumped():
                self._last.pop("bump", None)
                for change in event.bump.changes:
                    self._sums.setdefault(change.namespace, _Sum()).add(event.bump.generation, change)
                self.flush(self._clock())
            case BumpFailed(reason):
                if self._is_news("bump", reason):
                    self._log.warning("invalidation not taken by redis", reason=reason)
            case RoleTaken(role, reason):
                self._last.pop("postgres", None)
                self._log.info(f"listener {role}", reason=reason)
            case Disconnected(reason):
                self._last.pop("lease", None)
                if self._is_news("postgres", reason):
                    self._log.warning("listener not connected to postgres", reason=reason)
            case LeaseRenewed(renewed):
                if self._is_news("lease", "given"):
                    self._log.info("lease given", generation=renewed.generation, seconds=renewed.ttl)
            case LeaseWithheld(obstacle, reason):
                if self._is_news("lease", (obstacle, reason)):
                    write = self._log.error if obstacle == "triggers" else self._log.warning
                    write("lease withheld", obstacle=obstacle, reason=reason)
            case Evicted(holder, problem):
                if problem is None:
                    self._log.warning("stuck listener's session ended", pid=holder)
                elif self._is_news("eviction", problem):
                    self._log.error("stuck listener's session cannot be ended", pid=holder, reason=problem)
            case Swept(namespace, entries, seconds, problem):
                if problem is not None:
                    self._log.warning("sweep ended early", namespace=namespace, reason=problem)
                else:
                    self._log.debug("swept", namespace=namespace, entries=entries, seconds=round(seconds, 6))
            case _:
                pass

    def flush(self, now: float | None = None) -> None:
        """Write the lines that are due at `now`, or all there are; see to it that the others are written in time."""
        waits: list[float] = []
        for namespace, total in list(self._sums.items()):
            if now is not None and now < total.not_before:
                if total.bumps:
                    waits.append(total.not_before - now)
                continue
            if not total.bumps:
                del self._sums[namespace]
                continue
            self._log.info(
                "cache invalidated",
                namespace=namespace if namespace is not None else "*",
                generation=total.generation,
                cause=",".join(sorted(total.causes)),
                notifications=sum(total.causes.values()),
                bumps=total.bumps,
            )
            self._sums[namespace] = _Sum(not_before=self._clock() + LEAST_SECONDS_BETWEEN)
        if waits and not self._timer_set:
            self._timer_set = True
            self._later(min(waits), self._flush_later)

    def _flush_later(self) -> None:
        self._timer_set = False
        self.flush(self._clock())

    def _is_news(self, topic: str, what: object) -> bool:
        """Return whether `what` differs from what was last said of `topic`."""
        before, self._last[topic] = self._last.get(topic), what
        return before != what
