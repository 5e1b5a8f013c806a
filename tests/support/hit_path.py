"""The API without servers: what L1 has is answered, every load fails at once, and time stands still."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from coherence.changes import Bump, Change
from coherence.coherence import Coherence
from coherence.entry import Entry, etag_of
from coherence.keys import Scalar
from service.app import create_app
from service.database import Database
from service.fast.application import Application
from service.fast.protocol import HITS, Protocol
from service.links import page_end
from service.protocol import LimitedProtocol
from service.queries import ANOMALIES, ANOMALY, TRANSACTIONS
from service.questions import Question
from tests.support.api import ANALYST_KEY, settings_for
from tests.support.clocks import HandClock
from tests.support.connections import Connection

TTL = 60.0
SETTINGS = settings_for("postgresql://nobody@127.0.0.1:1/none", "redis://127.0.0.1:1/0")
COUNTS = re.compile(
    r"^((?:http_requests_total|http_request_duration_seconds_count|cache_(?:layer_hits|hits|misses|bypasses"
    r"|entries_judged)_total)\{.*}) (\S+)$",
    re.MULTILINE,
)
NEXT = page_end(2, 2, 0, "/api/v1/anomalies?limit=2&cursor=abc")
BODIES: Mapping[str, tuple[Question, bytes, str, bytes]] = {
    "/api/v1/anomalies?limit=2": (ANOMALIES, b"limit=2", "", b'{"anomalies":[1,2' + NEXT),
    "/api/v1/anomalies": (ANOMALIES, b"", "", b"x" * 50_000),
    "/api/v1/anomalies?limit=7&status=NEW": (ANOMALIES, b"limit=7&status=NEW", "", b"y" * 3000),
    "/api/v1/anomalies/a-1": (ANOMALY, b"", "a-1", b'{"transaction_id":"a-1"}'),
    "/api/v1/anomalies/a%2F1": (ANOMALY, b"", "a/1", b'{"transaction_id":"a/1"}'),
    "/api/v1/transactions/acc%201?limit=5": (TRANSACTIONS, b"limit=5", "acc 1", b'{"transactions":[]}'),
}
"""By target: what it asks, and the answer that is cached."""

SMALL = "/api/v1/anomalies?limit=2"
LARGE = "/api/v1/anomalies"
MISSING = "/api/v1/anomalies?limit=3"
"""The last one is not among them."""


class Side:
    """An application, and the protocol that serves it."""

    def __init__(self, kind: type[HttpToolsProtocol], *, hits_in_app: bool) -> None:
        self.clock = HandClock()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("service.app.Coherence", partial(Coherence, clock=self.clock))
            application = create_app(SETTINGS, on_failure=lambda: None)
        assert isinstance(application, Application)
        self.application = application
        self.hits = application._hits
        self.coherence = self.hits._coherence
        self.coherence._l2.suspended = True
        self.coherence.view.subscribed()
        self._app: ASGIApp = application if hits_in_app else self._long_way
        self._kind = kind

    async def _long_way(self, scope: Scope, receive: Receive, send: Send) -> None:
        await Starlette.__call__(self.application, scope, receive, send)

    def connect(self, **options: Any) -> Connection:
        """Return a new connection."""
        return Connection(self._kind, self._app, {HITS: self.hits}, **options)

    def fill(self) -> None:
        """Have a lease, and every answer in L1."""
        view = self.coherence.view
        generation = view.generation or 10
        for _ in range(2):
            view.polled(view.poll(self.clock()), generation, view.lease)
        for question, query_string, name, body in BODIES.values():
            query = question.ask(query_string, name)
            coded = {"gzip": b"gz:" + body, "br": b"", "zstd": b"zs:" + body}
            entry = Entry(query, view.generation, 0.0, TTL, etag_of(body), body, coded=coded)
            self.coherence.l1.put(entry, self.clock() + TTL, view.generation)

    def teach(self) -> None:
        """Have every target known."""
        for target, (question, query_string, name, _) in BODIES.items():
            path = target.partition("?")[0].encode()
            scope = {"raw_path": path, "query_string": query_string}
            self.hits.learn(scope, question.ask(query_string, name), question.path)

    def advance(self, seconds: float) -> None:
        """Let time pass, and the lease be renewed."""
        self.clock.advance(seconds)
        view = self.coherence.view
        view.polled(view.poll(self.clock()), view.generation, view.lease)

    def change(self, namespace: str) -> None:
        """Let everything change in `namespace`."""
        generation = self.coherence.view.generation
        self.coherence.view.receive(Bump(generation, generation + 1, (Change(namespace, "update"),), 0.0))

    def counts(self) -> dict[str, float]:
        """Return what has been counted of requests, and of the cache."""
        metrics = self.hits._metrics
        metrics.hand_over()
        found = COUNTS.findall(metrics.exposition().decode())
        return {name: float(value) for name, value in found if value != "0.0"}


def long_way() -> Side:
    """Return one on which nothing is fast."""
    return Side(LimitedProtocol, hits_in_app=False)


def fast_application() -> Side:
    """Return one whose application answers hits ahead of routing."""
    return Side(LimitedProtocol, hits_in_app=True)


def fast_protocol() -> Side:
    """Return one whose protocol answers hits ahead of ASGI."""
    return Side(Protocol, hits_in_app=True)


def etag_of_target(target: str) -> bytes:
    """Return the tag of the answer to a target of BODIES, and another's for any other."""
    return etag_of(BODIES[target][-1] if target in BODIES else b"").encode()


def request(target: str = SMALL, *, method: str = "GET", key: str = ANALYST_KEY, version: str = "1.1") -> bytes:
    """Return a request's bytes."""
    return f"{method} {target} HTTP/{version}\r\nhost: x\r\nx-api-key: {key}\r\n\r\n".encode()


class HeldUp:
    """Loads that answer when they are told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._may_end = asyncio.Event()

        async def rows(_: Database, sql: str, parameters: Mapping[str, Scalar]) -> Sequence[tuple[Any, ...]]:
            del sql, parameters
            await self._may_end.wait()
            return [(None, 0, None, None, None)]

        monkeypatch.setattr(Database, "rows", rows)

    async def release(self, connection: Connection) -> bytes:
        """Let them answer; return what the client gets in all."""
        self._may_end.set()
        return await connection.end()
