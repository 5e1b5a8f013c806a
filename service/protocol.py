"""uvicorn's HTTP/1.1 protocol, with bounds on a request's URL and head, in size and time, and our form of error."""

import re
from asyncio import TimerHandle, Transport
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from service.joined import Joined
from service.lingering import linger
from service.problems import Problem, too_slow
from service.responses import as_lines

HEAD_LIMIT = 32 * 1024
HEAD_SECONDS = 30.0
"""How long a head may take to come."""

URL_LIMIT = 8 * 1024
LEAVING = "anomaly_cache.leaving"
"""Where in the lifespan's state stands what is called when the server stops: answers without end have to end then."""

_HOST = re.compile(rb"([A-Za-z0-9._~%!$&'()*+,;=-]*|\[[0-9A-Fa-f:.]+\])(:[0-9]*)?[ \t]*")


class Refused(Exception):  # noqa: N818 - it names what became of the request
    """Ends the parsing of a request."""


class LimitedProtocol(HttpToolsProtocol):
    """Answers a malformed request with a problem document, and one with an endless head too.

    Whatever is answered, the head goes out with the body.
    """

    url = b""

    # What each request passes names its base: that takes half the time of super().

    _in_head = True
    _unfinished = 0
    """Bytes that have come since the head began, or more: the last of them may be of the body."""
    _refusal: Problem | None = None
    _late: TimerHandle | None = None
    """Ends the wait for the rest of a head."""

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override] # as in its base
        """A client is there. While it says nothing it is idle, as it is after an answer."""
        super().connection_made(transport)
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        if self._late is not None:
            self._late.cancel()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what the client sent."""
        if self._in_head:
            self._unfinished += len(data)
        HttpToolsProtocol.data_received(self, data)
        if self._in_head and self._unfinished and not self.transport.is_closing():
            self._await_head()

    def on_url(self, url: bytes) -> None:
        """A part of the URL is there."""
        self.url += url
        if len(self.url) > URL_LIMIT:
            detail = f"the URL is longer than {URL_LIMIT} bytes"
            self._refusal = Problem(HTTPStatus.REQUEST_URI_TOO_LONG, "uri-too-long", detail)
            raise Refused

    def on_headers_complete(self) -> None:
        """The head is there: have the request handled."""
        self.end_head()
        HttpToolsProtocol.on_headers_complete(self)
        if self.scope["method"] != "HEAD":
            joined: Any = Joined(self.transport, self.loop, self._leave)
            self.cycle.transport = joined

    def on_message_complete(self) -> None:
        """The request is there; another may follow."""
        HttpToolsProtocol.on_message_complete(self)
        self._in_head = True
        self._unfinished = 0

    def end_head(self) -> None:
        """Take it that the head is there. Raises Refused."""
        if self._unfinished > HEAD_LIMIT and len(self.url) + _size(self.headers) > HEAD_LIMIT:
            self._refusal = _head_too_large()
            raise Refused
        hosts = [value for name, value in self.headers if name == b"host"]
        if (len(hosts) != 1 or not _HOST.fullmatch(hosts[0])) and (hosts or self.parser.get_http_version() == "1.1"):
            detail = "there must be one Host header, of a host and perhaps a port"
            self._refusal = Problem(HTTPStatus.BAD_REQUEST, "malformed-request", detail)
            raise Refused
        self._in_head = False
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def shutdown(self) -> None:
        """The server stops, and waits for the answers that are under way."""
        leaving = self.app_state.get(LEAVING)
        if leaving is not None:
            leaving()
        super().shutdown()

    def send_400_response(self, msg: str) -> None:
        """Answer what cannot be parsed, and close the connection."""
        problem = self._refusal or Problem(HTTPStatus.BAD_REQUEST, "malformed-request", msg)
        body = problem.as_json()
        fields = [
            *self.server_state.default_headers,
            (b"content-type", b"application/problem+json"),
            (b"cache-control", b"no-store"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
        ]
        head = b"%s%s\r\n" % (STATUS_LINE[problem.status], as_lines(fields))
        # The method is this request's once there is a URL.
        bodiless = self.url and self.parser.get_method() == b"HEAD"
        self.transport.write(head if bodiless else head + body)
        if self._is_answering():
            # What answers the request before this one would write after the end.
            self.transport.close()
        else:
            linger(self, self.transport, self.loop)

    def _leave(self) -> None:
        """The answer is written, and the last on its connection."""
        if self._in_head:
            self.transport.close()
        else:
            linger(self, self.transport, self.loop)

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete  # type: ignore[redundant-expr] # at first it is

    def _await_head(self) -> None:
        """Wait for the rest of a head, if it is not too large already."""
        if self._unfinished > HEAD_LIMIT:
            # One endless header: the parser keeps it to itself until it ends.
            self._refusal = _head_too_large()
            self.send_400_response("")
        elif self._late is None:
            self._late = self.loop.call_later(HEAD_SECONDS, self._head_is_late)

    def _head_is_late(self) -> None:
        if self._is_answering():
            # While an earlier request is answered, it may be we who do not read.
            self._late = self.loop.call_later(HEAD_SECONDS, self._head_is_late)
        elif not self.transport.is_closing():
            self._refusal = too_slow(f"the request's head has not come within {HEAD_SECONDS:g} s")
            self.send_400_response("")


def _head_too_large() -> Problem:
    detail = f"the request's head is larger than {HEAD_LIMIT} bytes"
    return Problem(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "head-too-large", detail)


def _size(headers: list[tuple[bytes, bytes]]) -> int:
    return sum(len(name) + len(value) for name, value in headers)
