"""The listener's log lines, an observer of its events: transitions, and `cache invalidated`."""

from collections.abc import Callable

import structlog

from coherence.coalescing import Coalescing, Tally
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


class Journal:
    """Writes to `log`. `later` calls a function after so many seconds, as an event loop does."""

    def __init__(
        self, log: structlog.stdlib.BoundLogger, *, later: Callable[[float, Callable[[], None]], object]
    ) -> None:
        self._log = log
        self._invalidations = Coalescing(self._write_invalidated, later)
        self._last: dict[str, object] = {}

    def __call__(self, event: Event) -> None:  # noqa: C901, PLR0912 - one case an event
        """Take an event."""
        match event:
            case Bumped():
                self._last.pop("bump", None)
                for change in event.bump.changes:
                    self._invalidations.add(
                        change.namespace if change.namespace is not None else "*",
                        change.cause,
                        amount=change.notifications,
                        latest=event.bump.generation,
                    )
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

    def flush(self) -> None:
        """Write what has been put off."""
        self._invalidations.flush()

    def _write_invalidated(self, namespace: str, tally: Tally) -> None:
        self._log.info(
            "cache invalidated",
            namespace=namespace,
            generation=tally.latest,
            cause=",".join(sorted(tally.causes)),
            notifications=tally.amount,
            bumps=tally.times,
        )

    def _is_news(self, topic: str, what: object) -> bool:
        """Return whether `what` differs from what was last said of `topic`."""
        before, self._last[topic] = self._last.get(topic), what
        return before != what
