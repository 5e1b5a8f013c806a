"""The API's log lines: an observer that tells of transitions once, and sums up what is frequent."""

import asyncio
from collections.abc import Callable

import structlog

from coherence import events
from coherence.audit import Outcome
from coherence.changes import Change
from coherence.coalescing import Coalescing, Tally
from coherence.policy import PROVEN_ONLY, Policy
from coherence.view import Received
from service.database import DatabaseEvent, DatabaseLost

POLLS_UNTIL_OFF = 3
"""So many polls in a row must leave the view invalid before that is news: at a start the first ones do."""


def _call_later(seconds: float, function: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_later(seconds, function)


class Journal:
    """Writes to the log `service`."""

    def __init__(self, policy: Policy = PROVEN_ONLY) -> None:
        self._until_ttl = policy.until_ttl
        self._log: structlog.stdlib.BoundLogger = structlog.get_logger("service")
        self._invalidations = Coalescing(self._write_invalidated, _call_later)
        self._troubles = Coalescing(self._write_trouble, _call_later)
        self._initialized = False
        self._off = False
        self._invalid_polls = 0
        self._poll_error: str | None = None

    def __call__(self, event: events.Event) -> None:
        """Take an event of the cache."""
        match event:
            case events.Invalidated():
                self._invalidated(event)
            case events.ViewPolled():
                self._polled(event)
            case events.Operated(operation="poll", error=error):
                self._poll_error = error
            case events.Operated(operation=operation, error=str() as error) if not self._off:
                self._troubles.add(f"redis {operation} failed", error)
            case events.Rejected():
                self._troubles.add(f"cache entry of {event.namespace} was no use", event.reason)
            case events.Audited(finding=finding) if finding.outcome is Outcome.VIOLATION:
                self._log.error("audit violation", **finding.facts)
            case events.Shed():
                self._troubles.add("load refused", f"too many loads for {event.namespace}")
            case events.Acknowledged(received=received, expected=expected) if received < expected:
                self._troubles.add("change not acknowledged in time", f"{received} of {expected} processes")
            case _:
                pass

    def database(self, event: DatabaseEvent) -> None:
        """Take an event of the database."""
        if isinstance(event, DatabaseLost):
            self._log.warning("database lost", reason=event.reason)
        else:
            self._log.info("database found")

    def flush(self) -> None:
        """Write what has been put off."""
        self._invalidations.flush()
        self._troubles.flush()

    def _polled(self, event: events.ViewPolled) -> None:
        if not event.valid:
            self._invalid_polls += 1
            if self._invalid_polls >= POLLS_UNTIL_OFF and not self._off:
                self._off = True
                what = "cache served until its TTL" if self._until_ttl and self._initialized else "cache off"
                self._log.warning(what, reason=self._poll_error or event.outcome.value)
            return
        self._invalid_polls = 0
        self._poll_error = None
        if not self._initialized:
            self._initialized = True
            self._log.info("Cache initialized successfully")
        elif self._off:
            self._log.info("cache on")
        self._off = False

    def _invalidated(self, event: events.Invalidated) -> None:
        if event.received is Received.OLD:
            return
        changes = event.bump.changes
        if event.received is Received.GAP:
            changes = (Change(None, "gap", 0),)
        for change in changes:
            self._invalidations.add(
                "*" if change.namespace is None else change.namespace,
                change.cause,
                amount=change.notifications,
                latest=event.bump.generation,
                seconds=event.latency or 0.0,
            )

    def _write_invalidated(self, subject: str, tally: Tally) -> None:
        self._log.info(
            "cache invalidated",
            namespace=subject,
            generation=tally.latest,
            cause=",".join(sorted(tally.causes)),
            notifications=tally.amount,
            bumps=tally.times,
            latency_ms=round(tally.worst * 1000, 3),
        )

    def _write_trouble(self, subject: str, tally: Tally) -> None:
        self._log.warning(subject, reason=", ".join(sorted(tally.causes)), times=tally.times)
