"""What the audit counts, in the API and in `anomaly-cache audit`."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter

from coherence import events
from coherence.audit import Outcome


class AuditMetrics:
    """Three counters in `registry`. The series of `namespaces` are there from the start."""

    def __init__(self, registry: CollectorRegistry, namespaces: Iterable[str]) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, ("cache_key_type", *labels), registry=registry)

        self._checks = counter("cache_audit_checks", "Cached answers that were looked at again, by outcome.", "outcome")
        self._violations = counter("cache_audit_violations", "Cached answers that were older than promised, or wrong.")
        self._dropped = counter("cache_audit_dropped", "Cached answers that were to be looked at again, and were not.")
        for namespace in namespaces:
            self._violations.labels(namespace)
            self._dropped.labels(namespace)
            for outcome in Outcome:
                self._checks.labels(namespace, outcome.value)

    def audited(self, event: events.Audited) -> None:
        """Count one that was looked at."""
        namespace, outcome = event.finding.sample.entry.query.namespace, event.finding.outcome
        self._checks.labels(namespace, outcome.value).inc()
        if outcome is Outcome.VIOLATION:
            self._violations.labels(namespace).inc()

    def dropped(self, event: events.AuditDropped) -> None:
        """Count one that was not."""
        self._dropped.labels(event.namespace).inc()
