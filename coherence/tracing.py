"""OpenTelemetry's spans of one process. It needs the extra `otel`: who does not trace does not import it."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from threading import Thread

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from coherence.changes import Bump

FLUSH_SECONDS = 1.0
"""How long a process that ends waits for the collector to take its last spans."""

_W3C = TraceContextTextMapPropagator()


class Tracing:
    """One process' spans: `tracer` makes them; while it is `running` they are sent to a collector, by a thread.

    `service` names the kind of process, unless OTEL_SERVICE_NAME does. What is sampled, where it goes and how is said
    by the other standard variables of OpenTelemetry.
    """

    def __init__(self, service: str) -> None:
        ours = {
            "service.name": service,
            "service.version": version("anomaly-cache"),
            "service.instance.id": f"{socket.gethostname()}:{os.getpid()}",
        }
        resource = Resource.create(ours).merge(OTELResourceDetector().detect())
        self.provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self.tracer = self.provider.get_tracer("anomaly-cache", version("anomaly-cache"))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Send spans while inside. A collector that cannot be reached costs spans, and log lines, nothing else."""
        self.provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        try:
            yield
        finally:
            await self._flush()

    async def _flush(self) -> None:
        """Send what is left, if the collector takes it in time."""
        flushing = Thread(target=self.provider.shutdown, name="last spans", daemon=True)
        flushing.start()
        await asyncio.to_thread(flushing.join, FLUSH_SECONDS)


def about(bump: Bump) -> dict[str, int | list[str]]:
    """Return what a span says of a bump: its generation, and the namespaces (* for all) and causes of its changes."""
    return {
        "coherence.generation": bump.generation,
        "coherence.namespaces": sorted({change.namespace or "*" for change in bump.changes}),
        "coherence.causes": sorted({change.cause for change in bump.changes}),
    }


def traceparent_of(span: Span | None = None) -> str:
    """Return the trace context of `span`, by default the current one; "" where there is none."""
    carrier: dict[str, str] = {}
    _W3C.inject(carrier, None if span is None else set_span_in_context(span))
    return carrier.get("traceparent", "")


def context_of(traceparent: str) -> Context:
    """Return the context that a `traceparent` says; an empty one where it says none."""
    return _W3C.extract({"traceparent": traceparent}, Context())
