"""What is made of the listener's events: health, metrics and log lines."""

import asyncio
from collections.abc import Callable
from typing import Any

import structlog
from prometheus_client import REGISTRY
from structlog.testing import LogCapture

from coherence.changes import Bump, Change
from coherence.generation import Renewed
from listener.events import (
    Audited,
    Bumped,
    BumpFailed,
    Disconnected,
    Event,
    Evicted,
    Fenced,
    Heard,
    LeaseRenewed,
    LeaseWithheld,
    Ready,
    RoleTaken,
    Swept,
)
from listener.journal import Journal
from listener.metrics import Metrics
from listener.status import Status
from listener.triggers import Audit, Watched

AUDIT = Audit((Watched("public.anomalies", "anomalies", None, None, "1"),), queue_usage=0.25)
ACTIVE = RoleTaken("active", "no other listener is active")
RENEWED = LeaseRenewed(Renewed("renewed", 7, 1.8))


def bumped(generation: int, *changes: Change) -> Bumped:
    """Return the event of a bump."""
    return Bumped(Bump(generation - 1, generation, changes, 0.0), 0.001)


class Clock:
    """A clock that a test sets, with timers that it runs."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[tuple[float, Callable[[], None]]] = []

    def __call__(self) -> float:
        """Return the time."""
        return self.now

    def later(self, seconds: float, call: Callable[[], None]) -> asyncio.TimerHandle | None:
        """Set a timer."""
        self.timers.append((self.now + seconds, call))
        return None

    def advance(self, seconds: float) -> None:
        """Let time pass, and run the timers that are due."""
        self.now += seconds
        due = [call for at, call in self.timers if at <= self.now]
        self.timers = [(at, call) for at, call in self.timers if at > self.now]
        for call in due:
            call()


class TestStatus:
    """`/readyz`."""

    def report(self, *events: Event, later: float = 0.0) -> tuple[bool, dict[str, Any]]:
        """Return the report after these events, some seconds later."""
        clock = Clock()
        status = Status(clock)
        for event in events:
            status(event)
        clock.advance(later)
        report = status.report()
        return report.ready, report.body

    def test_starting(self) -> None:
        """Before anything happened it is not ready."""
        ready, body = self.report()
        assert not ready
        assert body["role"] == "connecting"

    def test_active_with_a_lease(self) -> None:
        """An active one that has renewed is ready for as long as that lease lasts."""
        assert self.report(ACTIVE, RENEWED, later=1.7) == (
            True,
            {
                "status": "ready",
                "role": "active",
                "since": "no other listener is active",
                "generation": 7,
                "lease_seconds_left": 0.1,
            },
        )
        assert not self.report(ACTIVE, RENEWED, later=1.9)[0]
        assert not self.report(ACTIVE)[0]

    def test_obstacle(self) -> None:
        """What is in the way makes it unready at once, is told, and is gone with the next renewal."""
        withheld = LeaseWithheld("triggers", "public.anomalies: trigger is missing; run SELECT repair")
        ready, body = self.report(ACTIVE, RENEWED, withheld)
        assert not ready
        assert body["problem"] == {"kind": "triggers", "detail": withheld.reason}
        assert self.report(ACTIVE, withheld, RENEWED)[0]

    def test_standby(self) -> None:
        """A standby that could serve is ready."""
        standby = RoleTaken("standby", "another listener is active")
        assert self.report(standby, Ready()) == (
            True,
            {"status": "ready", "role": "standby", "since": "another listener is active"},
        )
        assert not self.report(standby, Ready(), LeaseWithheld("redis", "ConnectionError"))[0]
        assert self.report(standby, LeaseWithheld("redis", "ConnectionError"), Ready())[0]

    def test_disconnected(self) -> None:
        """Without Postgres it is not ready, and says why."""
        ready, body = self.report(ACTIVE, RENEWED, Disconnected("connection refused"))
        assert not ready
        assert body["role"] == "connecting"
        assert body["problem"] == {"kind": "postgres", "detail": "connection refused"}


class TestMetrics:
    """`/metrics`."""

    def read(self, *events: Event) -> Callable[..., float | None]:
        """Return a look at the series after these events."""
        status = Status()
        metrics = Metrics(status)
        for event in events:
            status(event)
            metrics(event)
        assert metrics.exposition()

        def look(name: str, **labels: str) -> float | None:
            return metrics.registry.get_sample_value(name, labels)

        return look

    def test_counts(self) -> None:
        """Each event is counted where it belongs."""
        value = self.read(
            ACTIVE,
            Audited(AUDIT),
            Heard((Change("anomalies", "update", 3), Change(None, "invalidate"))),
            bumped(7, Change("anomalies", "update", 3), Change(None, "resync", 0)),
            BumpFailed("ConnectionError"),
            Fenced(0.001),
            RENEWED,
            LeaseWithheld("redis", "ConnectionError"),
            Evicted(7, None),
            Evicted(8, "no"),
            Swept("anomalies", 5, 0.1, None),
            Swept("anomalies", 2, 0.1, "ConnectionError"),
        )
        assert value("listener_active") == 1
        assert value("listener_connected") == 1
        assert value("listener_notifications_total", namespace="anomalies", operation="update") == 3
        assert value("listener_notifications_total", namespace="*", operation="invalidate") == 1
        assert value("listener_bumps_total") == 1
        assert value("listener_invalidations_total", namespace="anomalies", cause="update") == 1
        assert value("listener_invalidations_total", namespace="*", cause="resync") == 1
        assert value("listener_bump_failures_total") == 1
        assert value("listener_bump_duration_seconds_count") == 1
        assert value("listener_fence_duration_seconds_count") == 1
        assert value("listener_renewals_total", outcome="renewed") == 1
        assert value("listener_lease_withheld_total", reason="redis") == 1
        assert value("listener_evictions_total", outcome="ok") == 1
        assert value("listener_evictions_total", outcome="error") == 1
        assert value("listener_swept_entries_total", namespace="anomalies") == 7
        assert value("listener_sweeps_total", outcome="ok") == 1
        assert value("listener_watched_tables", state="ok") == 1
        assert value("listener_watched_tables", state="problem") == 0
        assert value("listener_pg_notification_queue_usage") == 0.25
        assert value("listener_generation") == 7

    def test_disconnected(self) -> None:
        """A lost session counts, and the role is gone."""
        value = self.read(ACTIVE, Disconnected("connection refused"))
        assert value("listener_active") == 0
        assert value("listener_connected") == 0
        assert value("listener_postgres_disconnects_total") == 1

    def test_labels_are_bounded(self) -> None:
        """Anybody can announce any namespace; only those that are watched become labels."""
        value = self.read(Audited(AUDIT), Heard(tuple(Change(f"made-up-{n}", "update") for n in range(100))))
        assert value("listener_notifications_total", namespace="other", operation="update") == 100

    def test_registry_of_its_own(self) -> None:
        """Nothing is added to the process-wide registry."""
        before = list(REGISTRY.collect())
        Metrics(Status())
        Metrics(Status())
        assert len(list(REGISTRY.collect())) == len(before)


class TestJournal:
    """Log lines."""

    def write(self, *events: Event | float) -> list[dict[str, Any]]:
        """Return the lines of these events; a number lets so many seconds pass."""
        clock = Clock()
        capture = LogCapture()
        log = structlog.wrap_logger(None, processors=[capture], wrapper_class=structlog.stdlib.BoundLogger)
        journal = Journal(log, later=clock.later)
        for event in events:
            if isinstance(event, float):
                clock.advance(event)
            else:
                journal(event)
        return [dict(line) for line in capture.entries]

    def test_invalidation(self) -> None:
        """A bump is a line with what operators look for, at once."""
        assert self.write(bumped(7, Change("anomalies", "update", 2))) == [
            {
                "log_level": "info",
                "event": "cache invalidated",
                "namespace": "anomalies",
                "generation": 7,
                "cause": "update",
                "notifications": 2,
                "bumps": 1,
            }
        ]

    def test_many_invalidations_are_summed_up(self) -> None:
        """Under load there is one line a second for a namespace, with the sums; none is lost."""
        storm: list[Event | float] = []
        for generation in range(1, 251):
            storm += [bumped(generation, Change("anomalies", "update", 2)), 0.01]
        lines = self.write(*storm, 1.0, 5.0)
        assert len(lines) == 4  # at 0, 1, 2 and 3 seconds
        assert sum(line["notifications"] for line in lines) == 500
        assert sum(line["bumps"] for line in lines) == 250
        assert lines[-1]["generation"] == 250

    def test_namespaces_do_not_wait_for_each_other(self) -> None:
        """The first line of each namespace comes at once."""
        lines = self.write(
            bumped(1, Change("anomalies", "update")), 0.1, bumped(2, Change("transactions", "insert")), 0.1
        )
        assert [line["namespace"] for line in lines] == ["anomalies", "transactions"]

    def test_causes_are_named_together(self) -> None:
        """A line that sums up names each cause."""
        lines = self.write(
            bumped(1, Change(None, "resync", 0)),
            bumped(2, Change(None, "redis", 3)),
            bumped(3, Change(None, "unparsable")),
            1.5,
        )
        assert [(line["namespace"], line["cause"], line["notifications"]) for line in lines] == [
            ("*", "resync", 0),
            ("*", "redis,unparsable", 4),
        ]

    def test_quiet_namespaces_are_forgotten(self) -> None:
        """A namespace that anybody made up once takes no memory for ever."""
        clock = Clock()
        log = structlog.wrap_logger(None, processors=[LogCapture()], wrapper_class=structlog.stdlib.BoundLogger)
        journal = Journal(log, later=clock.later)
        for n in range(100):
            journal(bumped(n + 1, Change(f"made-up-{n}", "update")))
        clock.advance(2)
        journal(bumped(200, Change("anomalies", "update")))
        assert len(journal._invalidations._tallies) == 1

    def test_transitions_are_said_once(self) -> None:
        """A lease is said to be given, and withheld, when that begins; a trigger's absence is an error."""
        broken = LeaseWithheld("triggers", "public.anomalies: trigger is missing; run SELECT repair")
        lines = self.write(ACTIVE, RENEWED, RENEWED, broken, broken, RENEWED, LeaseWithheld("redis", "ConnectionError"))
        assert [(line["log_level"], line["event"]) for line in lines] == [
            ("info", "listener active"),
            ("info", "lease given"),
            ("error", "lease withheld"),
            ("info", "lease given"),
            ("warning", "lease withheld"),
        ]
        assert lines[2]["reason"] == broken.reason

    def test_vain_tries_are_said_once(self) -> None:
        """A Postgres that stays away is one line; being found and lost again is another."""
        lines = self.write(
            Disconnected("connection refused"),
            Disconnected("connection refused"),
            ACTIVE,
            Disconnected("connection refused"),
            BumpFailed("ConnectionError"),
            BumpFailed("ConnectionError"),
        )
        assert [line["event"] for line in lines] == [
            "listener not connected to postgres",
            "listener active",
            "listener not connected to postgres",
            "invalidation not taken by redis",
        ]

    def test_evictions_and_failed_sweeps(self) -> None:
        """What an operator should know of is a line."""
        lines = self.write(
            Evicted(7, None), Evicted(8, "permission denied"), Swept("anomalies", 1, 0.1, "ConnectionError")
        )
        assert [(line["log_level"], line["event"]) for line in lines] == [
            ("warning", "stuck listener's session ended"),
            ("error", "stuck listener's session cannot be ended"),
            ("warning", "sweep ended early"),
        ]
