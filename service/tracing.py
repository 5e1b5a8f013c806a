"""The API's spans: what a request asked on its way, and what became of a change that came. It needs the extra `otel`.

They are made when an event tells that something has ended, of the time that it says it took. So nothing is in the way
of a process that does not trace.
"""

import time
from collections.abc import Mapping
from weakref import WeakSet

from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, StatusCode, get_current_span
from opentelemetry.util.types import AttributeValue
from starlette.middleware import Middleware
from starlette.middleware.opentelemetry import OpenTelemetryMiddleware

from coherence import events
from coherence.tracing import Tracing, about, context_of, traceparent_of
from coherence.view import Received

NOT_TRACED = r"^\w+://[^/]+/(?!api/)"
"""Health checks and scrapes come every few seconds, and say nothing of the cache."""

_REDIS: Mapping[str, AttributeValue] = {"db.system.name": "redis"}
_OPERATIONS: Mapping[str, tuple[str, Mapping[str, AttributeValue]]] = {
    "get": ("L2", {**_REDIS, "db.operation.name": "GET"}),
    "set": ("store in L2", {**_REDIS, "db.operation.name": "SET"}),
    "publish": ("bump", _REDIS),
}


class Spans:
    """An observer of the cache's events that makes spans of them, and tells them to `then`."""

    def __init__(self, then: events.Observer, tracing: Tracing | None = None) -> None:
        tracing = tracing or Tracing("anomaly-cache-api")
        self._then = then
        self._provider, self._tracer = tracing.provider, tracing.tracer
        self.running = tracing.running
        self.trace = traceparent_of
        self._past_l1 = WeakSet[Span]()
        """The requests of which it is told that they asked L1."""

    def middleware(self) -> Middleware:
        """Return what makes a span of each request to the API, part of the trace that its `traceparent` says."""
        return Middleware(OpenTelemetryMiddleware, excluded_urls=[NOT_TRACED], tracer_provider=self._provider)

    def __call__(self, event: events.Event) -> None:
        """Take an event, in the context of the request that it is about."""
        self._then(event)
        if isinstance(event, events.Invalidated):
            self._invalidated(event)
            return
        request = get_current_span()
        if request.get_span_context().trace_flags.sampled:
            self._of(request, event)

    def _of(self, request: Span, event: events.Event) -> None:
        match event:
            case events.Hit(namespace, layer):
                self._asked_l1(request, found=layer == "l1")
                self._answered(request, namespace, layer)
            case events.Missed(namespace, stale):
                self._asked_l1(request, found=False)
                self._answered(request, namespace, "db", {"cache.stale": stale})
            case events.Bypassed(namespace, reason):
                self._answered(request, namespace, "db", {"cache.bypass": reason})
            case events.Joined():
                request.set_attribute("cache.collapsed", value=True)
            case events.Operated(operation, seconds, error) if operation in _OPERATIONS:
                if operation == "get":
                    self._asked_l1(request, found=False, ago=seconds)
                name, attributes = _OPERATIONS[operation]
                self._ended(name, seconds, attributes, kind=SpanKind.CLIENT, error=error)
            case events.TurnTaken(_, outcome, seconds):
                self._ended("turn to load", seconds, {"cache.outcome": outcome})
            case events.Loaded(namespace, seconds, outcome):
                attributes = {"db.system.name": "postgresql", "cache.namespace": namespace}
                error = None if outcome == "ok" else "the load failed"
                self._ended("load", seconds, attributes, kind=SpanKind.CLIENT, error=error)
            case events.Acknowledged(received, expected, seconds):
                counts = {"coherence.received": received, "coherence.expected": expected}
                self._ended("acknowledgements", seconds, counts)
            case _:
                pass

    def _answered(
        self, request: Span, namespace: str, layer: str, more: Mapping[str, AttributeValue] | None = None
    ) -> None:
        request.set_attributes({"cache.namespace": namespace, "cache.layer": layer, **(more or {})})

    def _asked_l1(self, request: Span, *, found: bool, ago: float = 0.0) -> None:
        """Tell once of a request that L1 was asked; which took no time worth telling, and ended `ago` seconds ago."""
        if request not in self._past_l1:
            self._past_l1.add(request)
            at = time.time_ns() - round(ago * 1e9)
            self._tracer.start_span("L1", attributes={"cache.hit": found}, start_time=at).end(at)

    def _invalidated(self, event: events.Invalidated) -> None:
        """Tell what a change did here, as a part of the trace that it was announced in, if it was in one."""
        if event.received is not Received.OLD and event.bump.trace:
            attributes = {**about(event.bump), "coherence.received": event.received.value}
            self._ended(
                "drop", event.latency or 0.0, attributes, kind=SpanKind.CONSUMER, parent=context_of(event.bump.trace)
            )

    def _ended(
        self,
        name: str,
        seconds: float,
        attributes: Mapping[str, AttributeValue],
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        error: str | None = None,
        parent: Context | None = None,
    ) -> None:
        """Tell of something that took `seconds` until now."""
        now = time.time_ns()
        span = self._tracer.start_span(name, parent, kind, attributes, start_time=now - round(seconds * 1e9))
        if error is not None:
            span.set_status(StatusCode.ERROR, error)
        span.end(now)
