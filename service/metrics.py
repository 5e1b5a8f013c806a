"""The API's Prometheus metrics: an observer of what the cache, the database and the routes do."""

from collections import Counter as Multiset
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

from coherence import events
from coherence.coherence import Coherence
from coherence.presence import Traffic
from coherence.view import Received
from service.audit_metrics import AuditMetrics
from service.database import Database
from service.instruments import Instruments
from service.multiprocess import collector
from service.requests import OTHER, Requests
from service.tally import Tally

CAUSES = frozenset(
    {"insert", "update", "delete", "truncate", "invalidate", "many", "put", "gap", "resync", "triggers", "redis-behind"}
    | {"purge", "unknown", "unparsable"}
)
EVERYTHING = "*"
M = TypeVar("M", Counter, Histogram)


class Metrics:
    """Counts. `namespaces` are those that have labels of their own; `shared` is the workers' common directory."""

    def __init__(self, namespaces: Iterable[str], shared: Path | None = None) -> None:
        self._namespaces = frozenset(namespaces)
        self._shared = shared
        self._registry = CollectorRegistry()
        if shared is None:
            ProcessCollector(registry=self._registry)
            PlatformCollector(registry=self._registry)
        self._made = made = Instruments(self._registry)
        made.build.labels(version("anomaly-cache")).set(1)
        made.stand_at_zero(self._namespaces)
        self._children: dict[tuple[object, tuple[str, ...]], Any] = {}
        self._hits: dict[tuple[str, str], tuple[Counter, Counter]] = {}
        for namespace in self._namespaces:
            for layer in ("l1", "l2"):
                self._children_of_hits(namespace, layer)
        audit = AuditMetrics(self._registry, self._namespaces)
        self._forgotten = 0
        self.requests = Requests(made.requests, made.request_seconds)
        self._tallies: dict[tuple[str, str, str, int], Tally] = {}
        self._take: dict[type, Callable[[Any], None]] = {
            events.Hit: self._hit,
            events.Unproven: self._unproven,
            events.Audited: audit.audited,
            events.AuditDropped: audit.dropped,
            events.Missed: self._missed,
            events.Bypassed: self._bypassed,
            events.Joined: self._joined,
            events.TurnTaken: self._turn_taken,
            events.Refreshed: self._refreshed,
            events.Loaded: self._loaded,
            events.Judged: self._judged,
            events.Shed: self._shed,
            events.Coded: self._coded,
            events.Operated: self._operated,
            events.Rejected: self._rejected,
            events.Invalidated: self._invalidated,
            events.ViewPolled: self._polled,
            events.Subscribed: self._subscribed,
            events.Acknowledged: self._acknowledged,
        }

    def __call__(self, event: events.Event) -> None:
        """Take an event of the cache."""
        self._take[type(event)](event)

    def tally(self, namespace: str, route: str, method: str, status: int) -> Tally:
        """Return what counts requests by `method`, one of METHODS, that L1 answers: as hits and as requests."""
        found = self._tallies.get((namespace, route, method, status))
        if found is None:
            requests, durations = self.requests.series(route, method, status)
            hits = self._children_of_hits(namespace, "l1")
            found = self._tallies[namespace, route, method, status] = Tally((requests, *hits), durations)
        return found

    def sample(self, coherence: Coherence, database: Database) -> None:
        """Set the gauges to what is true now."""
        made = self._made
        made.l1_entries.set(len(coherence.l1))
        made.l1_bytes.set(coherence.l1.bytes)
        made.l1_max_bytes.set(coherence.l1.max_bytes)
        history = coherence.view.history
        made.rows_kept.set(history.rows_kept)
        made.rows_forgotten.inc(history.forgotten - self._forgotten)
        self._forgotten = history.forgotten
        made.generation.set(coherence.view.generation)
        lease_left = coherence.lease_left
        made.lease_left.set(lease_left)
        made.view_valid.set(lease_left > 0)
        made.staleness_bound.set(coherence.staleness_bound)
        made.max_staleness.set(coherence.timing.bound)
        made.redis_up.set(coherence.backplane.reachable)
        made.database_up.set(database.available)
        self.hand_over()

    def hand_over(self) -> None:
        """Show what was counted since the last time and is not shown at once."""
        for tally in self._tallies.values():
            tally.hand_over()
        self.requests.hand_over()

    def traffic(self, coherence: Coherence) -> Traffic:
        """Return what this process has answered so far, and what its own cache holds."""
        self.hand_over()
        made = self._made
        by_layer = total(made.layer_hits, "layer")
        return Traffic(
            l1_hits=by_layer["l1"],
            l2_hits=by_layer["l2"],
            misses=total(made.misses).total(),
            bypasses=total(made.bypasses).total(),
            loads=total(made.loads).total(),
            requests=total(made.requests).total(),
            l1_entries=len(coherence.l1),
            l1_bytes=coherence.l1.bytes,
        )

    def readiness(self, *, ready: bool) -> None:
        """Say whether requests should come here."""
        self._made.ready.set(ready)

    def exposition(self) -> bytes:
        """Return the text of `/metrics`: of all workers, where there are several."""
        return generate_latest(self._registry if self._shared is None else collector(self._shared))

    def _hit(self, event: events.Hit) -> None:
        children = self._hits.get((event.namespace, event.layer))
        if children is None:
            children = self._children_of_hits(event.namespace, event.layer)
        for child in children:
            child.inc()

    def _children_of_hits(self, namespace: str, layer: str) -> tuple[Counter, Counter]:
        # A bound child costs a quarter of looking it up by its labels.
        children = self._made.hits.labels(namespace), self._made.layer_hits.labels(namespace, layer)
        self._hits[namespace, layer] = children
        return children

    def _bound(self, metric: M, *labels: str) -> M:
        """Return the child of `metric` with these labels, of which there are few: found for a quarter of the price."""
        child: M | None = self._children.get((metric, labels))
        if child is None:
            child = self._children[metric, labels] = metric.labels(*labels)
        return child

    def _unproven(self, event: events.Unproven) -> None:
        self._made.unproven.labels(event.namespace, event.policy).inc()

    def _missed(self, event: events.Missed) -> None:
        self._bound(self._made.misses, event.namespace).inc()

    def _bypassed(self, event: events.Bypassed) -> None:
        self._bound(self._made.bypasses, event.namespace, event.reason).inc()

    def _joined(self, event: events.Joined) -> None:
        self._bound(self._made.joins, event.namespace).inc()

    def _turn_taken(self, event: events.TurnTaken) -> None:
        self._bound(self._made.turns, event.namespace, event.outcome).inc()
        self._bound(self._made.turn_seconds, event.namespace).observe(event.seconds)

    def _refreshed(self, event: events.Refreshed) -> None:
        self._bound(self._made.refreshes, event.namespace, event.outcome).inc()

    def _loaded(self, event: events.Loaded) -> None:
        self._bound(self._made.loads, event.namespace, event.outcome).inc()
        self._bound(self._made.load_seconds, event.namespace).observe(event.seconds)

    def _judged(self, event: events.Judged) -> None:
        self._bound(self._made.judged, event.namespace, "spared" if event.spared else "dropped").inc()

    def _shed(self, event: events.Shed) -> None:
        self._bound(self._made.shed, event.namespace).inc()

    def _coded(self, event: events.Coded) -> None:
        self._bound(self._made.compressions, event.coding).inc()
        self._bound(self._made.compression_seconds, event.coding).inc(event.seconds)
        self._bound(self._made.compression_bytes, event.coding, "before").inc(event.plain)
        self._bound(self._made.compression_bytes, event.coding, "after").inc(event.coded)

    def _operated(self, event: events.Operated) -> None:
        if event.error is not None:
            self._bound(self._made.errors, event.operation).inc()
        if event.seconds > 0:
            self._bound(self._made.operation_seconds, event.operation).observe(event.seconds)

    def _rejected(self, _: events.Rejected) -> None:
        self._made.errors.labels("decode").inc()

    def _invalidated(self, event: events.Invalidated) -> None:
        if event.received is Received.OLD:
            return
        if event.latency is not None:
            self._made.invalidation_seconds.observe(event.latency)
        if event.received is Received.GAP:
            self._made.invalidations.labels(EVERYTHING, "gap").inc()
            return
        for change in event.bump.changes:
            # Anybody may announce anything; labels are ours.
            namespace = change.namespace if change.namespace in self._namespaces else OTHER
            cause = change.cause if change.cause in CAUSES else OTHER
            self._made.invalidations.labels(EVERYTHING if change.namespace is None else namespace, cause).inc()
            if change.rows is not None:
                self._made.changed_rows.labels(namespace).inc(len(change.rows))

    def _polled(self, event: events.ViewPolled) -> None:
        self._made.polls.labels(event.outcome.value).inc()

    def _subscribed(self, _: events.Subscribed) -> None:
        self._made.subscriptions.inc()

    def _acknowledged(self, event: events.Acknowledged) -> None:
        self._made.acknowledgements.labels("received").inc(event.received)
        self._made.acknowledgements.labels("missing").inc(max(0, event.expected - event.received))
        self._made.acknowledgement_seconds.observe(event.seconds)


def total(counter: Counter, label: str = "") -> Multiset[str]:
    """Return what this process has counted, by the values of a label (by "" where there is none of that name)."""
    sums: Multiset[str] = Multiset()
    for metric in counter.collect():
        for sample in metric.samples:
            if sample.name.endswith("_total"):
                sums[sample.labels.get(label, "")] += int(sample.value)
    return sums
