"""A collector of OpenTelemetry's spans: it takes OTLP over HTTP, as protobuf, and remembers what it got."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

PATH = "/v1/traces"


@dataclass(frozen=True, slots=True)
class Seen:
    """A span: its ids as hexadecimal digits, its time in ns, and whose it is."""

    name: str
    trace: str
    id: str
    parent: str
    began: int
    ended: int
    attributes: dict[str, object]
    service: str
    instance: str


class Collector:
    """What was collected, and where to send more."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.spans: list[Seen] = []

    def of(self, trace: str) -> list[Seen]:
        """Return the spans of a trace in the order of their beginning."""
        return sorted((span for span in self.spans if span.trace == trace), key=lambda span: span.began)

    def take(self, body: bytes) -> None:
        """Take what was posted."""
        for sent in ExportTraceServiceRequest.FromString(body).resource_spans:
            resource = plain(sent.resource.attributes)
            self.spans += [
                Seen(
                    name=span.name,
                    trace=span.trace_id.hex(),
                    id=span.span_id.hex(),
                    parent=span.parent_span_id.hex(),
                    began=span.start_time_unix_nano,
                    ended=span.end_time_unix_nano,
                    attributes=plain(span.attributes),
                    service=str(resource["service.name"]),
                    instance=str(resource["service.instance.id"]),
                )
                for scope in sent.scope_spans
                for span in scope.spans
            ]


def plain(attributes: Iterable[KeyValue]) -> dict[str, object]:
    """Return attributes as plain values."""
    return {each.key: value_of(each.value) for each in attributes}


def value_of(value: AnyValue) -> object:
    """Return what a value holds."""
    kind = value.WhichOneof("value")
    assert kind is not None
    held: object = getattr(value, kind)
    return [value_of(each) for each in value.array_value.values] if kind == "array_value" else held


@contextmanager
def collecting() -> Iterator[Collector]:
    """Collect what is sent meanwhile."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            assert (self.path, self.headers["content-type"]) == (PATH, "application/x-protobuf")
            collector.take(body)
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.end_headers()
            self.wfile.write(ExportTraceServiceResponse().SerializeToString())

        def log_message(self, *_: object) -> None:
            """Keep silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector = Collector(server.server_address[1])
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
