"""Spans of the events: what the end-to-end tests do not meet."""

import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from types import FunctionType, ModuleType

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode, use_span
from starlette.middleware.opentelemetry import OpenTelemetryMiddleware

from coherence import events
from coherence.changes import Bump, Change
from coherence.generation import untraced
from coherence.tracing import Tracing, traceparent_of
from coherence.view import Received
from listener import events as listener_events
from listener.tracing import Spans as ListenerSpans
from service.app import create_app
from service.auth import Authentication
from service.boundary import Boundary
from service.fast import application as fast_application
from service.fast import heads, hits, protocol, table
from service.fast.application import Application
from service.telemetry import telemetry
from service.tracing import Spans
from tests.support.hit_path import SETTINGS
from tests.support.processes import WITHOUT_EXTRA, clean_environment

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
CHANGES = (Change("anomalies", "update"),)
WIRED = """
import sys
import listener.program
from service.app import create_app
from service.settings import ServiceSettings
given = {"database_url": "postgresql://nowhere/none", "redis_url": "redis://nowhere", "api_keys": "admin=" + "0" * 16}
create_app(ServiceSettings.model_validate(given), on_failure=lambda: None)
ends = (".tracing", ".opentelemetry", "opentelemetry.exporter", "opentelemetry.sdk.trace")
print(*(name for name in sys.modules if name.endswith(ends)))
"""


@pytest.fixture
def tracing(monkeypatch: pytest.MonkeyPatch) -> Tracing:
    """Spans that go nowhere yet."""
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test,service.name=renamed")
    return Tracing("a service")


@pytest.fixture
def sent(tracing: Tracing) -> InMemorySpanExporter:
    """What is sent."""
    exporter = InMemorySpanExporter()
    tracing.provider.add_span_processor(SimpleSpanProcessor(exporter))
    return exporter


def names(spans: Sequence[ReadableSpan]) -> list[str]:
    """Return their names, in the order of their end."""
    return [span.name for span in spans]


def bump(trace: str = TRACE) -> Bump:
    """Return a bump that was made in a trace."""
    return Bump(1, 2, CHANGES, 0.0, trace=trace)


def test_standard_variables_say_who_it_is(tracing: Tracing) -> None:
    """What OTEL_RESOURCE_ATTRIBUTES says goes before what we say."""
    attributes = tracing.provider.resource.attributes
    assert (attributes["service.name"], attributes["deployment.environment"]) == ("renamed", "test")
    assert attributes["service.instance.id"]


def of_a_request(tracing: Tracing, *happened: events.Event) -> None:
    """Have it happen within a request."""
    observe = Spans(events.ignore, tracing)
    with use_span(tracing.tracer.start_span("request"), end_on_exit=True):
        for event in happened:
            observe(event)


def test_an_answer_from_redis_has_asked_both_layers(tracing: Tracing, sent: InMemorySpanExporter) -> None:
    """L1 was asked before L2, and once."""
    of_a_request(tracing, events.Operated("get", 0.25), events.Hit("anomalies", "l2"))
    l1, l2, request = sent.get_finished_spans()
    assert names([l1, l2, request]) == ["L1", "L2", "request"]
    assert l1.end_time is not None
    assert l2.start_time is not None
    assert l1.end_time <= l2.start_time + 10**8
    assert request.attributes is not None
    assert request.attributes["cache.layer"] == "l2"


def test_a_bypass_asks_no_layer(tracing: Tracing, sent: InMemorySpanExporter) -> None:
    """The request says why, and shows the load alone; a load that failed shows as one."""
    of_a_request(tracing, events.Bypassed("anomalies", "no-lease"), events.Loaded("anomalies", 0.1, "error"))
    load, request = sent.get_finished_spans()
    assert (load.name, load.status.status_code) == ("load", StatusCode.ERROR)
    assert request.attributes is not None
    assert request.attributes["cache.bypass"] == "no-lease"


def test_what_belongs_to_no_request_is_no_span(tracing: Tracing, sent: InMemorySpanExporter) -> None:
    """Polls and sweeps of the background begin no trace, nor does a change that was not traced or was known."""
    observe = Spans(events.ignore, tracing)
    observe(events.Operated("get", 0.1))
    observe(events.Loaded("anomalies", 0.1, "ok"))
    observe(events.Invalidated(bump(""), Received.APPLIED, 0.1))
    observe(events.Invalidated(bump(), Received.OLD, 0.1))
    assert sent.get_finished_spans() == ()
    observe(events.Invalidated(bump(), Received.GAP, None))
    assert names(sent.get_finished_spans()) == ["drop"]


def test_what_is_not_sampled_is_no_span_anywhere(tracing: Tracing, sent: InMemorySpanExporter) -> None:
    """The decision of who began the trace is everybody's."""
    Spans(events.ignore, tracing)(events.Invalidated(bump(TRACE[:-1] + "0"), Received.APPLIED, 0.1))
    assert sent.get_finished_spans() == ()


def test_a_bump_that_fails_is_tried_in_the_same_trace(tracing: Tracing, sent: InMemorySpanExporter) -> None:
    """The notification's span goes on until Redis has been told, and covers all that came meanwhile."""
    observe = ListenerSpans(lambda _: None, tracing)
    observe(listener_events.Heard(CHANGES))
    observe.begin_bump()
    observe(listener_events.BumpFailed("no answer"))
    observe(listener_events.Heard(CHANGES))
    trace = observe.begin_bump()
    observe(listener_events.Bumped(bump(trace), 0.1))
    failed, made, notification = sent.get_finished_spans()
    assert names([failed, made, notification]) == ["bump", "bump", "notification"]
    assert (failed.status.status_code, made.status.status_code) == (StatusCode.ERROR, StatusCode.UNSET)
    assert notification.attributes is not None
    assert notification.attributes["coherence.notifications"] == 2
    for each in (failed, made):
        assert each.parent is not None
        assert each.parent.span_id == notification.context.span_id
    assert trace.split("-")[1:3] == [f"{made.context.trace_id:032x}", f"{made.context.span_id:016x}"]


def test_a_bump_of_its_own_accord_is_a_trace_of_its_own(tracing: Tracing, sent: InMemorySpanExporter) -> None:
    """After a gap the listener tells that everything changed, which nothing announced."""
    observe = ListenerSpans(lambda _: None, tracing)
    observe(listener_events.Bumped(bump(observe.begin_bump()), 0.1))
    (made,) = sent.get_finished_spans()
    assert (made.name, made.parent) == ("bump", None)


def test_without_a_request_there_is_no_trace_to_carry() -> None:
    """What a process announces in the background says no trace."""
    assert traceparent_of() == ""


def application(tracing: str) -> Application:
    """Return an API that has nothing to connect to."""
    made = create_app(SETTINGS.model_copy(update={"tracing": tracing}), on_failure=lambda: None)
    assert isinstance(made, Application)
    return made


def around(made: Application) -> list[object]:
    """Return what a request goes through before it meets a route."""
    return [each.cls for each in made.user_middleware]


def test_off_nothing_stands_in_the_way() -> None:
    """Events go straight to who is told of them, requests meet what they always meet, a hit is the same code."""
    off = telemetry("off", events.ignore)
    assert off.observer is events.ignore
    assert (off.trace, off.running, off.middleware) == (untraced, nullcontext, ())
    plain, traced = application("off"), application("on")
    assert around(plain) == [Boundary, Authentication]
    assert around(traced) == [OpenTelemetryMiddleware, Boundary, Authentication]
    assert plain._hits._matters is hits._MATTERS
    assert traced._hits._matters - hits._MATTERS == {hits.TRACEPARENT}


def functions(holder: ModuleType | type) -> Iterator[FunctionType]:
    """Yield the functions and methods that a module of the hit path defines."""
    for part in vars(holder).values():
        if isinstance(part, FunctionType):
            yield part
        elif isinstance(part, type) and part.__module__.startswith("service.fast"):
            yield from functions(part)


def test_a_hit_runs_no_code_for_traces() -> None:
    """Of all in the hit path, the reading of a head that was never seen is alone in naming anything of them."""
    naming = set()
    for module in (fast_application, heads, hits, protocol, table):
        for function in functions(module):
            code = function.__code__
            if re.search(r"trac(?!eback)|span|otel", " ".join(code.co_names + code.co_varnames), re.IGNORECASE):
                naming.add(function.__qualname__)
    assert naming == {"Hits.__init__", "Hits.read"}


def test_off_nothing_of_it_is_imported() -> None:
    """Though the extra is there: neither what of ours makes spans, nor what it needs of others for that."""
    done = subprocess.run(
        [sys.executable, "-c", WIRED], env=clean_environment(traced=True), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "\n"), done.stderr


def config(**settings: str) -> subprocess.CompletedProcess[str]:
    """Run `anomaly-cache config --for listener` with TRACING=on."""
    environment = {"DATABASE_URL": "postgresql://db/x", "TRACING": "on", **settings}
    return subprocess.run(
        [sys.executable, "-m", "anomaly_cache", "config", "--for", "listener"],
        env={**clean_environment(traced=True), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_missing_extra_is_named_with_what_brings_it() -> None:
    """TRACING=on without the extra ends a program at once, with what to type."""
    done = config(PYTHONPATH=f"{WITHOUT_EXTRA}:{clean_environment(traced=True).get('PYTHONPATH', '')}")
    assert done.returncode == 2
    assert done.stderr.startswith('Error: TRACING: the extra is not installed: pip install "anomaly-cache[otel]"')


def test_a_protocol_that_is_not_spoken_is_refused() -> None:
    """OTLP over gRPC is another exporter's."""
    done = config(OTEL_EXPORTER_OTLP_PROTOCOL="grpc")
    assert done.returncode == 2
    assert "TRACING: OTEL_EXPORTER_OTLP_PROTOCOL is grpc" in done.stderr
