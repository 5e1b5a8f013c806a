"""uvicorn's HTTP/1.1 protocol, with the hit path ahead of ASGI.

Plain hits are written when all that has just been read of the client is parsed. Every other request, and every one that
has to wait for its turn on the connection or for the client to read, goes the normal way, as if this class were not
there.
"""

from asyncio import AbstractEventLoop, Event, TimerHandle
from math import inf
from time import perf_counter
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle
from uvicorn.server import ServerState

from service.fast.hits import Hits
from service.fast.recent import Ready
from service.protocol import LimitedProtocol

HITS = "anomaly_cache.hits"
"""Where in the lifespan's state the application's Hits stand, if they may be used here."""

_METHODS = {b"GET": "GET", b"HEAD": "HEAD"}


LEAST_APART = 4096
"""Bytes of a body that is not worth copying, to be sent in one piece with its head."""


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
        self._answering = _Answering()
        self._ready: list[Ready] = []
        """Answers to what has just been read, not written yet."""
        self._ready_bytes = 0
        self._idle_since = -inf
        """When a hit left the client with the next word, by the event loop's clock."""
        self._default_headers: list[tuple[bytes, bytes]] = []
        self._front = b""

    def data_received(self, data: bytes) -> None:
        """Take what the client sent."""
        started = perf_counter()
        # uvicorn would end the timer with each request, and begin another one with each answer.
        timer, self.timeout_keep_alive_task = self.timeout_keep_alive_task, None
        super().data_received(data)
        if self._ready:
            ready, self._ready, self._ready_bytes = self._ready, [], 0
            self._write(ready)
            self._end(ready, perf_counter() - started, timer)
        elif timer is not None:
            timer.cancel()

    def on_headers_complete(self) -> None:
        """The head is there: answer it, or have it handled."""
        self.end_head()
        ready = self._find()
        if ready is None:
            super().on_headers_complete()
            return
        self.cycle = self._answering
        self._answering.response_complete = False
        self._ready.append(ready)
        self._ready_bytes += len(ready.body)

    def send_400_response(self, msg: str) -> None:
        """Answer what cannot be parsed, and close the connection."""
        super().send_400_response(msg)
        # uvicorn would have begun with the first of them, and would send its answer no more than the others'.
        if self._ready:
            self._end(self._ready[:1], 0.0, None)
            self._ready = []

    def timeout_keep_alive_handler(self) -> None:
        """Close the connection, if its client has kept silent for long."""
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self.timeout_keep_alive_task = self.loop.call_later(left, self.timeout_keep_alive_handler)
        else:
            super().timeout_keep_alive_handler()

    def _find(self) -> Ready | None:
        if self._hits is None or self._ready_bytes > HIGH_WATER_LIMIT:
            return None
        # An earlier request may be under way, the client may be slow to read, or the connection about to close.
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and cycle is not self._answering and not cycle.response_complete:
            return None
        if self.flow.write_paused or self.transport.is_closing():
            return None
        method = _METHODS.get(self.parser.get_method())
        if method is None or self.parser.get_http_version() != "1.1":
            return None
        return self._hits.find(self.url, method, self.headers)

    def _write(self, answers: list[Ready]) -> None:
        default_headers = self.server_state.default_headers
        if default_headers is not self._default_headers:
            # They are another list each second, for the date in them.
            self._default_headers = default_headers
            self._front = b"".join(b"%s: %s\r\n" % header for header in default_headers)
        parts: list[bytes] = []
        for ready in answers:
            parts += (STATUS_LINE[ready.status], self._front, ready.lines, ready.body)
        if len(answers) == 1 and len(ready.body) > LEAST_APART:
            self.transport.writelines((b"".join(parts[:3]), ready.body))
        else:
            self.transport.write(b"".join(parts))

    def _end(self, answers: list[Ready], seconds: float, timer: TimerHandle | None) -> None:
        for ready in answers:
            ready.tally.add(seconds)
        self.server_state.total_requests += len(answers)
        self._answering.response_complete = True
        self.timeout_keep_alive_task = timer
        if self.pipeline or timer is None or self.transport.is_closing():
            # It counts one, and begins with the next request, or with the time that the client may keep silent.
            self.server_state.total_requests -= 1
            self.on_response_complete()
        else:
            self._idle_since = self.loop.time()
