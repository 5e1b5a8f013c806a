"""The listener's Prometheus metrics, an observer of its events. They have a registry of their own."""

from importlib.metadata import version

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

from coherence.changes import Change
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
from listener.payload import OVERFLOWS
from listener.status import Status

_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_OBSTACLES = ("postgres", "redis", "triggers", "late", "clock", "server")


class Metrics:
    """Counts events. `status` tells what is true at the moment of a scrape."""

    def __init__(self, status: Status) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        self._status = status
        Info("listener_build", "The version that runs.", registry=registry).info({"version": version("anomaly-cache")})
        gauge = Gauge("listener_active", "1 while this listener is the active one, else 0.", registry=registry)
        gauge.set_function(lambda: status.role == "active")
        gauge = Gauge("listener_connected", "1 while there is a session with Postgres, else 0.", registry=registry)
        gauge.set_function(lambda: status.role != "connecting")
        gauge = Gauge(
            "listener_lease_seconds_left", "What is left of the lease that this listener gave.", registry=registry
        )
        gauge.set_function(lambda: status.lease_left)
        gauge = Gauge(
            "listener_generation", "The latest generation that this listener made or renewed.", registry=registry
        )
        gauge.set_function(lambda: status.generation)
        self._queue = Gauge(
            "listener_pg_notification_queue_usage",
            "How full Postgres' notification queue is, from 0 to 1. A full one fails writers.",
            registry=registry,
        )
        self._watched = Gauge(
            "listener_watched_tables",
            "Watched tables, by whether their triggers are in place.",
            ["state"],
            registry=registry,
        )
        self._notifications = Counter(
            "listener_notifications",
            "Notifications from Postgres, fences aside.",
            ["namespace", "operation"],
            registry=registry,
        )
        self._bumps = Counter("listener_bumps", "Generations made.", registry=registry)
        self._changes = Counter(
            "listener_invalidations",
            "Invalidations published, by namespace (* is all) and cause; one generation may hold several.",
            ["namespace", "cause"],
            registry=registry,
        )
        self._rows = Counter(
            "listener_changed_rows",
            "Changed rows that the caches were told of one by one.",
            ["namespace"],
            registry=registry,
        )
        self._overflows = Counter(
            "listener_overflows",
            "Changes told without their rows: too many in a transaction (rows), a notification (bytes) or a bump.",
            ["cause"],
            registry=registry,
        )
        self._bump_failures = Counter(
            "listener_bump_failures", "Bumps that Redis did not take, or not in time.", registry=registry
        )
        self._bump_seconds = Histogram(
            "listener_bump_duration_seconds", "Time Redis took for a bump.", buckets=_BUCKETS, registry=registry
        )
        self._fence_seconds = Histogram(
            "listener_fence_duration_seconds", "Time from a fence to its return.", buckets=_BUCKETS, registry=registry
        )
        self._renewals = Counter("listener_renewals", "Renewals of the lease.", ["outcome"], registry=registry)
        self._withheld = Counter(
            "listener_lease_withheld",
            "Times that no lease could be given, by what was in the way.",
            ["reason"],
            registry=registry,
        )
        self._disconnects = Counter(
            "listener_postgres_disconnects", "Sessions with Postgres lost, and tries for one failed.", registry=registry
        )
        self._evictions = Counter(
            "listener_evictions",
            "Sessions of an active listener ended for giving no lease.",
            ["outcome"],
            registry=registry,
        )
        self._sweeps = Counter("listener_sweeps", "Sweeps for outdated entries.", ["outcome"], registry=registry)
        self._swept = Counter(
            "listener_swept_entries", "Outdated entries removed from Redis.", ["namespace"], registry=registry
        )
        self._sweep_seconds = Histogram(
            "listener_sweep_duration_seconds", "Time of a sweep.", buckets=(*_BUCKETS, 10, 60), registry=registry
        )
        self._stand_at_zero()

    def _stand_at_zero(self) -> None:
        """Show the series that are known beforehand, so that their first increase is seen as one."""
        for reason in _OBSTACLES:
            self._withheld.labels(reason)
        for outcome in ("renewed", "made"):
            self._renewals.labels(outcome)
        for outcome in ("ok", "error"):
            self._sweeps.labels(outcome)
            self._evictions.labels(outcome)
        for cause in OVERFLOWS:
            self._overflows.labels(cause)
        for state in ("ok", "problem"):
            self._watched.labels(state).set(0)

    def __call__(self, event: Event) -> None:  # noqa: C901, PLR0912 - one case an event
        """Take an event."""
        match event:
            case Heard():
                for change in event.changes:
                    self._notifications.labels(self._label(change), change.cause).inc(change.notifications)
                    if change.overflow not in (None, "bump"):
                        self._overflows.labels(change.overflow).inc(change.notifications)
            case Bumped():
                self._bumps.inc()
                self._bump_seconds.observe(event.seconds)
                for change in event.bump.changes:
                    self._changes.labels(self._label(change), change.cause).inc()
                    self._rows.labels(self._label(change)).inc(len(change.rows or ()))
                    if change.overflow == "bump":
                        self._overflows.labels("bump").inc()
            case BumpFailed():
                self._bump_failures.inc()
            case Fenced():
                self._fence_seconds.observe(event.seconds)
            case Audited():
                broken = sum(table.problem is not None for table in event.audit.tables)
                self._watched.labels("ok").set(len(event.audit.tables) - broken)
                self._watched.labels("problem").set(broken)
                self._queue.set(event.audit.queue_usage)
            case LeaseRenewed():
                self._renewals.labels(event.renewed.outcome).inc()
            case LeaseWithheld():
                self._withheld.labels(event.obstacle).inc()
            case Disconnected():
                self._disconnects.inc()
                self._withheld.labels("postgres").inc()
            case Evicted():
                self._evictions.labels("error" if event.problem else "ok").inc()
            case Swept():
                self._sweeps.labels("error" if event.problem else "ok").inc()
                self._swept.labels(event.namespace).inc(event.entries)
                self._sweep_seconds.observe(event.seconds)
            case RoleTaken() | Ready():
                pass

    def _label(self, change: Change) -> str:
        """Anybody may announce any namespace; those that are watched have a name here."""
        if change.namespace is None:
            return "*"
        audit = self._status.audit
        return change.namespace if audit is not None and change.namespace in audit.namespaces else "other"

    def exposition(self) -> bytes:
        """Return the text of `/metrics`."""
        return generate_latest(self.registry)
