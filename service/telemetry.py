"""Who observes the cache's events: metrics, journal, whoever asks for changes; and traces, if there are any."""

from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field

from starlette.middleware import Middleware

from coherence.events import Event, Hit, Invalidated, Observer
from coherence.generation import untraced


@dataclass(frozen=True, slots=True)
class Telemetry:
    """What observes the cache's events, and tells the trace context of what is going on; what goes around requests.

    `running` goes around all else. `traces` says whether there are any.
    """

    observer: Observer
    trace: Callable[[], str] = untraced
    middleware: tuple[Middleware, ...] = ()
    running: Callable[[], AbstractAsyncContextManager[None]] = field(default=nullcontext)
    traces: bool = False


def observer(metrics: Observer, journal: Observer, invalidated: Iterable[Callable[[Invalidated], None]]) -> Observer:
    """Return what tells each of them what it wants to know."""

    def observe(event: Event) -> None:
        metrics(event)
        if type(event) is Invalidated:
            for note in invalidated:
                note(event)
        if type(event) is not Hit:
            journal(event)

    return observe


def telemetry(tracing: str, observer: Observer) -> Telemetry:
    """Return what TRACING asks for. `observer` gets every event in any case."""
    if tracing == "off":
        return Telemetry(observer)
    from service.tracing import Spans  # noqa: PLC0415 - it needs the extra `otel`

    spans = Spans(observer)
    return Telemetry(spans, spans.trace, (spans.middleware(),), spans.running, traces=True)
