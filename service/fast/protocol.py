"""uvicorn's HTTP/1.1 protocol, with the hit path ahead of ASGI.

Plain hits are written when all that has just been read of the client is parsed; a request that came before to the byte
need not even be parsed. Every other request, and every one that has to wait for its turn on the connection or for the
client to read, goes the normal way, as if this class were not there.
"""

from asyncio import AbstractEventLoop, Event
from collections.abc import Sequence
from math import inf
from time import perf_counter
from typing import Any, cast

from starlette.types import Scope
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.server import ServerState

from service.fast.asking import ASKING, Asking
from service.fast.hits import Hits
from service.fast.recent import Ready
from service.joined import send
from service.protocol import LimitedProtocol

HITS = "anomaly_cache.hits"
"""Where in the lifespan's state the application's Hits stand, if they may be used here."""

_METHODS = {b"GET": "GET", b"HEAD": "HEAD"}


class _Answering(RequestResponseCycle):
    """Stands for hits where uvicorn looks for the request that is being answered."""

    def __init__(self) -> None:
        self.response_complete = True
        self.disconnected = False
        self.more_body = False
        self.keep_alive = True
        self.message_event = Event()


class Protocol(LimitedProtocol):
    """For uvicorn's `http=`. Without Hits in the lifespan's state it does nothing of its own."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        # An access log, a limit on concurrency and a prefix of the paths are the normal way's business.
        simple = not (self.access_log or config.limit_concurrency is not None or config.root_path)
        self._hits: Hits | None = app_state.get(HITS) if simple else None
        self._answering = self.cycle = _Answering()
        self._between = True
        """Whether the parser has seen requests whole, and nothing of another one."""
        self._asking: Asking | None = None
        """What the latest of the hits asks that were parsed."""
        self._ready: list[Ready] = []
        """Answers to what has just been read, not written yet."""
        self._ready_bytes = 0
        self._idle_since = -inf
        """When a hit left the client with the next word, by the event loop's clock."""

    def data_received(self, data: bytes) -> None:
        """Take what the client sent."""
        hits = self._hits
        if hits is None:
            super().data_received(data)
            return
        started = perf_counter()
        asking = hits.heads.get(data) if self._between else None
        ready = hits.answer(asking) if asking is not None and self._is_free() else None
        if ready is None:
            self._parse(data, hits, started)
            return
        send(self.transport, (ready.head(self.server_state.default_headers), ready.body), len(ready.body))
        self._end((ready,), perf_counter() - started)

    def on_message_begin(self) -> None:
        """Another request begins."""
        self._between = False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is there: answer it, or have it handled."""
        if self._hits is None or not self._answers(self._hits):
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is there; another may follow."""
        super().on_message_complete()
        self._between = True

    def send_400_response(self, msg: str) -> None:
        """Answer what cannot be parsed, and close the connection."""
        super().send_400_response(msg)
        # uvicorn would have begun with the first of them, and would send its answer no more than the others'.
        if self._ready:
            self._end(self._ready[:1], 0.0)
            self._ready = []

    def timeout_keep_alive_handler(self) -> None:
        """Close the connection, if its client has kept silent for long."""
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self.timeout_keep_alive_task = self.loop.call_later(left, self.timeout_keep_alive_handler)
        else:
            super().timeout_keep_alive_handler()

    def _parse(self, data: bytes, hits: Hits, started: float) -> None:
        between = self._between
        # uvicorn would end the timer with each request, and begin another one with each answer.
        timer, self.timeout_keep_alive_task = self.timeout_keep_alive_task, None
        super().data_received(data)
        if not self._ready:
            if timer is not None:
                timer.cancel()
            return
        ready, self._ready = self._ready, []
        if between and self._between and len(ready) == 1 and self.cycle is self._answering and self._asking is not None:
            # What was read is this request, and nothing else.
            hits.heads.learn(data, len(data), self._asking)
        default_headers = self.server_state.default_headers
        parts = [part for each in ready for part in (each.head(default_headers), each.body)]
        send(self.transport, parts, self._ready_bytes)
        self._ready_bytes = 0
        self.timeout_keep_alive_task = timer
        self._end(ready, perf_counter() - started)

    def _is_free(self) -> bool:
        # An earlier request may be under way, the client may be slow to read, or the connection about to close.
        cycle = self.cycle
        if cycle is not self._answering and not cycle.response_complete:
            return False
        return not (self.flow.write_paused or self.transport.is_closing())

    def _answers(self, hits: Hits) -> bool:
        self.end_head()
        method = _METHODS.get(self.parser.get_method())
        if method is None or self.parser.get_http_version() != "1.1":
            return False
        if self._ready_bytes > HIGH_WATER_LIMIT or not self._is_free():
            return False
        self._asking = hits.read(self.url, method, self.headers)
        if self._asking is None:
            return False
        ready = hits.answer(self._asking)
        if ready is None:
            cast("Scope", self.scope)[ASKING] = self._asking
            return False
        self.cycle = self._answering
        self._answering.response_complete = False
        self._ready.append(ready)
        self._ready_bytes += len(ready.body)
        return True

    def _end(self, answers: Sequence[Ready], seconds: float) -> None:
        for ready in answers:
            ready.tally.add(seconds)
        self.server_state.total_requests += len(answers)
        self._answering.response_complete = True
        if self.pipeline or self.timeout_keep_alive_task is None or self.transport.is_closing():
            # It counts one, and begins with the next request, or with the time that the client may keep silent.
            self.server_state.total_requests -= 1
            self.on_response_complete()
        else:
            self._idle_since = self.loop.time()
