"""The head of an answer and its body, sent in one piece: one call of the kernel instead of two, one packet less."""

from asyncio import AbstractEventLoop, Transport
from collections.abc import Callable, Sequence
from typing import Any

LEAST_APART = 4096
"""Bytes from which on an answer is not worth copying, to be sent in one piece of memory."""


def send(transport: Transport, parts: Sequence[bytes], size: int) -> None:
    """Write `parts`, of about `size` bytes, at once."""
    if size > LEAST_APART:
        transport.writelines(parts)
    else:
        transport.write(b"".join(parts))


class Joined:
    """Stands for the transport where uvicorn writes one answer: the first write, its head, waits for the second.

    It waits no longer than until the event loop's next turn: an application may take its time with the body. `close`
    is called for the end of the connection, when the answer is written.
    """

    __slots__ = ("_close", "_head", "_loop", "_transport")

    def __init__(self, transport: Transport, loop: AbstractEventLoop, close: Callable[[], None]) -> None:
        self._transport = transport
        self._loop = loop
        self._close = close
        self._head: bytes | None = None
        """What waits; empty once it is sent."""

    def write(self, data: bytes) -> None:
        """Send `data`, or have it wait."""
        head = self._head
        if head is None:
            self._head = data
            self._loop.call_soon(self._send_head)
        elif head:
            self._head = b""
            send(self._transport, (head, data), len(data))
        else:
            self._transport.write(data)

    def close(self) -> None:
        """Close the connection when all is sent."""
        self._send_head()
        self._close()

    def __getattr__(self, name: str) -> Any:
        """Be the transport in all else."""
        return getattr(self._transport, name)

    def _send_head(self) -> None:
        head, self._head = self._head, b""
        if head and not self._transport.is_closing():
            self._transport.write(head)
