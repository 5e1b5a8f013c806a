"""The names, labels and help texts of the API's metrics."""

from collections.abc import Iterable, Mapping
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from coherence.coding import CODINGS
from coherence.events import Operation
from service import durations

_FAST = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
_SLOW = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0)


class Instruments:
    """The metrics, made in `registry`. Of several workers' gauges, the worst or the sum is shown."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, registry=registry)

        def histogram(name: str, text: str, *labels: str, buckets: tuple[float, ...] = _FAST) -> Histogram:
            return Histogram(name, text, labels, buckets=buckets, registry=registry)

        def gauge(name: str, text: str, *labels: str, mode: str = "livemin") -> Gauge:
            return Gauge(name, text, labels, registry=registry, multiprocess_mode=mode)  # type: ignore[arg-type]

        self.hits = counter("cache_hits", "Requests answered from a cache.", "cache_key_type")
        self.misses = counter("cache_misses", "Requests whose answer no cache had.", "cache_key_type")
        self.errors = counter("cache_errors", "Redis operations that failed, and unusable entries.", "operation")
        self.operation_seconds = histogram("cache_operation_duration_seconds", "Time of Redis operations.", "operation")

        self.layer_hits = counter(
            "cache_layer_hits", "Hits by layer: l1 is the process' own, l2 is Redis.", "cache_key_type", "layer"
        )
        self.bypasses = counter("cache_bypasses", "Requests that asked no cache, and why.", "cache_key_type", "reason")
        self.loads = counter("cache_loads", "Reads of the database for an answer.", "cache_key_type", "outcome")
        self.load_seconds = histogram(
            "cache_load_duration_seconds", "Time of reads of the database.", "cache_key_type", buckets=_SLOW
        )
        self.shed = counter("cache_loads_shed", "Loads refused: too many were under way.", "cache_key_type")
        self.joins = counter(
            "cache_single_flight_joins", "Requests that shared a load which was under way.", "cache_key_type"
        )
        self.turns = counter(
            "cache_fleet_turns",
            "Misses that loaded for all processes, shared another's load, or waited for it in vain.",
            "cache_key_type",
            "outcome",
        )
        self.turn_seconds = histogram(
            "cache_fleet_turn_wait_seconds", "Time that misses took to load for all, or to get it.", "cache_key_type"
        )
        self.refreshes = counter(
            "cache_refreshes",
            "Hot answers near their end, and what became of loading them anew.",
            "cache_key_type",
            "outcome",
        )
        self.compressions = counter("cache_compressions", "Bodies compressed, by content coding.", "coding")
        self.compression_seconds = counter("cache_compression_seconds", "Time of compressing bodies.", "coding")
        self.compression_bytes = counter(
            "cache_compression_bytes", "Bytes of bodies before and after they were compressed.", "coding", "side"
        )
        self.l1_entries = gauge("cache_l1_entries", "Entries in the process' own cache.", mode="livesum")
        self.l1_bytes = gauge("cache_l1_bytes", "Bytes in the process' own cache.", mode="livesum")
        self.l1_max_bytes = gauge("cache_l1_max_bytes", "Bytes that the process' own cache may hold.", mode="livesum")

        self.invalidations = counter(
            "cache_invalidations", "Changes applied, by namespace (* is all) and cause.", "namespace", "cause"
        )
        self.invalidation_seconds = histogram(
            "cache_invalidation_latency_seconds", "Time from a new generation to its being applied in this process."
        )
        self.changed_rows = counter("cache_changed_rows", "Changed rows that were told one by one.", "cache_key_type")
        self.judged = counter(
            "cache_entries_judged",
            "Entries that met changes of their namespace, and were spared or dropped.",
            "cache_key_type",
            "verdict",
        )
        self.rows_kept = gauge("cache_changed_rows_kept", "Changed rows that are remembered.", mode="livesum")
        self.rows_forgotten = counter(
            "cache_changed_rows_forgotten", "Changed rows forgotten to make room: what is older counts as dropped."
        )
        self.generation = gauge("cache_generation", "The newest generation that has been applied.")
        self.lease_left = gauge("cache_lease_seconds_left", "How long the cache may still be relied on.")
        self.view_valid = gauge("cache_view_valid", "1 while cached answers may be served, else 0.")
        self.staleness_bound = gauge(
            "cache_staleness_bound_seconds", "How old an answer given now can be at most.", mode="livemax"
        )
        self.max_staleness = gauge("cache_max_staleness_seconds", "CACHE_MAX_STALENESS_SECONDS: the promise.")
        self.unproven = counter(
            "cache_unproven_answers",
            "Cached answers that were given though nothing proved them fresh, by the policy that allows it.",
            "cache_key_type",
            "policy",
        )
        self.polls = counter("cache_view_polls", "Looks at the generation and its lease, by outcome.", "outcome")
        self.subscriptions = counter("cache_subscriptions", "Times that the changes were subscribed to.")
        self.acknowledgements = counter(
            "cache_acknowledgements", "Other processes that said in time that they know of our change.", "outcome"
        )
        self.acknowledgement_seconds = histogram(
            "cache_acknowledgement_wait_seconds", "Time that our changes waited for the other processes."
        )
        self.redis_up = gauge("cache_redis_up", "1 while Redis answers, else 0.")
        self.database_up = gauge("cache_database_up", "1 while Postgres is thought to answer, else 0.")
        self.ready = gauge("api_ready", "1 while /readyz answers 200, else 0.")
        self.build = gauge("cache_build_info", "The version that runs.", "version")
        self.requests = counter("http_requests", "Requests answered.", "route", "method", "status")
        self.request_seconds = histogram(
            "http_request_duration_seconds",
            "Time from a request's head to the end of its answer.",
            "route",
            "method",
            buckets=durations.BOUNDS,
        )

    def stand_at_zero(self, namespaces: Iterable[str]) -> None:
        """Show the series that are known beforehand, so that their first increase is seen as one."""
        for operation in get_args(Operation):
            self.errors.labels(operation)
        for coding in CODINGS:
            self.compressions.labels(coding)
        for outcome in ("received", "missing"):
            self.acknowledgements.labels(outcome)
        kinds: Mapping[Counter, tuple[str, ...]] = {
            self.bypasses: ("admin", "disabled", "no-lease", "request"),
            self.judged: ("spared", "dropped"),
            self.loads: ("ok", "error"),
            self.refreshes: ("loaded", "taken", "left", "busy", "error"),
            self.turns: ("won", "shared", "timeout"),
            self.unproven: ("ttl", "stale-if-error"),
        }
        for namespace in namespaces:
            for counter in (self.misses, self.joins, self.shed):
                counter.labels(namespace)
            for counter, values in kinds.items():
                for value in values:
                    counter.labels(namespace, value)
