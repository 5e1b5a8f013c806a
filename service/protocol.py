"""uvicorn's HTTP/1.1 protocol, with a bound on the size of a request's head, and our form of error."""

from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.problems import Problem

HEAD_LIMIT = 32 * 1024


class HeadTooLarge(Exception):  # noqa: N818 - it names what came
    """Ends the parsing of a request."""


class Protocol(HttpToolsProtocol):
    """Answers a malformed request with a problem document, and one with an endless head too."""

    _in_head = True
    _unfinished = 0
    """Bytes that have come since the head began, or more: the last of them may be of the body."""
    _too_large = False

    def data_received(self, data: bytes) -> None:
        """Take what the client sent."""
        if self._in_head:
            self._unfinished += len(data)
        super().data_received(data)
        if self._in_head and self._unfinished > HEAD_LIMIT and not self.transport.is_closing():
            # One endless header: the parser keeps it to itself until it ends.
            self._too_large = True
            self.send_400_response("")

    def on_headers_complete(self) -> None:
        """The head is there: have the request handled."""
        if self._unfinished > HEAD_LIMIT and len(self.url) + _size(self.headers) > HEAD_LIMIT:
            self._too_large = True
            raise HeadTooLarge
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is there; another may follow."""
        super().on_message_complete()
        self._in_head = True
        self._unfinished = 0

    def send_400_response(self, msg: str) -> None:
        """Answer what cannot be parsed, and close the connection."""
        problem = Problem(HTTPStatus.BAD_REQUEST, "malformed-request", msg)
        if self._too_large:
            detail = f"the request's head is larger than {HEAD_LIMIT} bytes"
            problem = Problem(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "head-too-large", detail)
        body = problem.as_json()
        head = (
            f"HTTP/1.1 {problem.status:d} {problem.status.phrase}\r\ncontent-type: application/problem+json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()


def _size(headers: list[tuple[bytes, bytes]]) -> int:
    return sum(len(name) + len(value) for name, value in headers)
