"""The listener's spans, an observer of its events: from a notification to the bump that tells of it.

It needs the extra `otel`.
"""

from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, StatusCode, set_span_in_context

from coherence.changes import Bump
from coherence.tracing import Tracing, about, traceparent_of
from listener.events import Bumped, BumpFailed, Event, Heard, Observer
from listener.payload import CHANNEL


class Spans:
    """Makes spans, and tells the events to `then`.

    All that was announced since the last bump is one span, and each try of a bump another.
    """

    def __init__(self, then: Observer, tracing: Tracing | None = None) -> None:
        tracing = tracing or Tracing("anomaly-cache-listener")
        self._then = then
        self._tracer = tracing.tracer
        self.running = tracing.running
        self._notified: Span | None = None
        self._notifications = 0
        self._bumping: Span | None = None

    def __call__(self, event: Event) -> None:
        """Take an event."""
        self._then(event)
        match event:
            case Heard(changes):
                if self._notified is None:
                    self._notified = self._tracer.start_span("notification", Context(), SpanKind.CONSUMER)
                self._notifications += sum(change.notifications for change in changes)
            case Bumped(bump):
                self._bumped(bump)
            case BumpFailed(reason) if self._bumping is not None:
                self._bumping.set_status(StatusCode.ERROR, reason)
                self._bumping.end()
                self._bumping = None
            case _:
                pass

    def begin_bump(self) -> str:
        """Begin the span of a bump, and return the trace context that goes with it."""
        parent = Context() if self._notified is None else set_span_in_context(self._notified, Context())
        self._bumping = self._tracer.start_span("bump", parent, SpanKind.PRODUCER)
        return traceparent_of(self._bumping)

    def _bumped(self, bump: Bump) -> None:
        if self._bumping is not None:
            self._bumping.set_attributes(about(bump))
            self._bumping.end()
        if self._notified is not None:
            self._notified.set_attributes(
                {
                    "messaging.system": "postgresql",
                    "messaging.destination.name": CHANNEL,
                    "coherence.notifications": self._notifications,
                }
            )
            self._notified.end()
        self._bumping = self._notified = None
        self._notifications = 0
