"""A lean HTTP/1.1 client: one keep-alive connection, one request at a time."""

import asyncio
from collections.abc import Callable
from typing import cast

from bench.errors import BenchError
from bench.system import API_KEY

OK = b"HTTP/1.1 200 "


def request(target: str, key: str = API_KEY) -> bytes:
    """Return the bytes of a GET."""
    return f"GET {target} HTTP/1.1\r\nhost: bench\r\nx-api-key: {key}\r\n\r\n".encode()


def header(head: bytes, name: bytes) -> bytes:
    """Return the value of a header of an answer's head, `name` being in lower case; empty where it is missing."""
    start = head.find(b"\r\n%s: " % name)
    if start < 0:
        return b""
    start += len(name) + 4
    end = head.find(b"\r\n", start)
    return head[start:] if end < 0 else head[start:end]


class Connection(asyncio.Protocol):
    """Calls `answered(connection, head, body)` with each answer, and `failed(error)` if the connection breaks."""

    def __init__(
        self, answered: Callable[["Connection", bytes, bytes], None], failed: Callable[[Exception], None]
    ) -> None:
        self._answered = answered
        self._failed = failed
        self._buffer = bytearray()
        self._head = b""
        self._length = -1
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it

    def send(self, wire: bytes) -> None:
        """Send a request; the answer to the one before must have come."""
        assert self._transport is not None  # noqa: S101 - it is connected
        self._transport.write(wire)

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        self._buffer += data
        if self._length < 0:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            self._head = bytes(self._buffer[:end])
            del self._buffer[: end + 4]
            self._length = int(header(self._head, b"content-length") or 0)  # a 304 has none
        if len(self._buffer) >= self._length:
            body = bytes(self._buffer)
            self._buffer.clear()
            self._length = -1
            self._answered(self, self._head, body)

    def connection_lost(self, exc: Exception | None) -> None:
        """Report it, unless we closed it."""
        if self._transport is not None:
            self._transport = None
            self._failed(exc or BenchError("a replica closed a connection"))

    def close(self) -> None:
        """End the connection."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.close()


async def connect(
    port: int, answered: Callable[[Connection, bytes, bytes], None], failed: Callable[[Exception], None]
) -> Connection:
    """Open a connection to a port of this machine."""
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(lambda: Connection(answered, failed), "127.0.0.1", port)
    return connection


async def ask(port: int, wire: bytes) -> tuple[bytes, bytes]:
    """Return the head and the body of one answer, on a connection of its own."""
    done: asyncio.Future[tuple[bytes, bytes]] = asyncio.get_running_loop().create_future()
    connection = await connect(port, lambda _, head, body: done.set_result((head, body)), done.set_exception)
    try:
        connection.send(wire)
        return await done
    finally:
        connection.close()


async def get(port: int, target: str) -> tuple[bytes, bytes]:
    """Return the head and the body of one answer to our key. Raises BenchError where it is not 200."""
    head, body = await ask(port, request(target))
    if not head.startswith(OK):
        raise BenchError(f"{target} was answered {head[:40].decode()}: {body[:200].decode()}")
    return head, body
