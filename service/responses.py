"""The one way in which bytes are sent."""

from collections.abc import Iterable

from starlette.types import Scope, Send

Header = tuple[bytes, bytes]

JSON: Header = (b"content-type", b"application/json")
NO_STORE: Header = (b"cache-control", b"no-store")


async def respond(scope: Scope, send: Send, status: int, headers: list[Header], body: bytes) -> None:
    """Send a whole response. A HEAD gets the headers that a GET would get, and no body."""
    headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def as_lines(headers: Iterable[Header]) -> bytes:
    """Return header fields as HTTP/1.1 writes them."""
    return b"".join(b"%s: %s\r\n" % header for header in headers)


def header_values(scope: Scope, name: bytes) -> list[bytes]:
    """Return the values of the header `name` (in lower case), as often as it was sent."""
    return [value for key, value in scope["headers"] if key == name]
