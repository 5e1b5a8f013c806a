"""uvicorn's HTTP/1.1 protocol, with bounds on a request's URL and head, and our form of error."""

from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.problems import Problem

HEAD_LIMIT = 32 * 1024
URL_LIMIT = 8 * 1024
LEAVING = "anomaly_cache.leaving"
"""Where in the lifespan's state stands what is called when the server stops: answers without end have to end then."""


class Refused(Exception):  # noqa: N818 - it names what became of the request
    """Ends the parsing of a request."""


class LimitedProtocol(HttpToolsProtocol):
    """Answers a malformed request with a problem document, and one with an endless head too."""

    # What each request passes names its base: that takes half the time of super().

    _in_head = True
    _unfinished = 0
    """Bytes that have come since the head began, or more: the last of them may be of the body."""
    _refusal: Problem | None = None

    def data_received(self, data: bytes) -> None:
        """Take what the client sent."""
        if self._in_head:
            self._unfinished += len(data)
        HttpToolsProtocol.data_received(self, data)
        if self._in_head and self._unfinished > HEAD_LIMIT and not self.transport.is_closing():
            # One endless header: the parser keeps it to itself until it ends.
            self._refusal = _head_too_large()
            self.send_400_response("")

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
        if [name for name, _ in self.headers].count(b"host") != 1 and self.parser.get_http_version() == "1.1":
            self._refusal = Problem(HTTPStatus.BAD_REQUEST, "malformed-request", "there must be one Host header")
            raise Refused
        self._in_head = False

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
        head = (
            f"HTTP/1.1 {problem.status:d} {problem.status.phrase}\r\ncontent-type: application/problem+json\r\n"
            f"cache-control: no-store\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()


def _head_too_large() -> Problem:
    detail = f"the request's head is larger than {HEAD_LIMIT} bytes"
    return Problem(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "head-too-large", detail)


def _size(headers: list[tuple[bytes, bytes]]) -> int:
    return sum(len(name) + len(value) for name, value in headers)
