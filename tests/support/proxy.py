"""A TCP proxy that makes a network misbehave: latency, silence, refusal, reset."""

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Self
from urllib.parse import urlsplit, urlunsplit

from coherence.tasks import end

LAST_TURNS = 10
"""In so many turns of the event loop a connection that it was accepting has come into being, and gone again."""
LINGER_RESET = struct.pack("ii", 1, 0)


async def last_turns() -> None:
    """Let what was on its way when a proxy ended come and go, else it is left open when the loop ends."""
    for _ in range(LAST_TURNS):
        await asyncio.sleep(0)


def stop_listening(listening: socket.socket) -> None:
    """Take no more connections. An asyncio server's own way leaves one open that it is just accepting."""
    asyncio.get_running_loop().remove_reader(listening)
    listening.close()


class Proxy:
    """Stands between a client and the server of a URL; `async with` runs it, `proxy.url` goes through it.

    `latency` is in seconds, each way, and `forge` what is made of each piece of an answer; both may change while it
    runs. The port stays the same while it refuses.
    """

    def __init__(self, url: str, *, latency: float = 0.0) -> None:
        self._parts = urlsplit(url)
        if self._parts.hostname is None or self._parts.port is None:
            raise ValueError("the URL must name a host and a port")
        self.target = (self._parts.hostname, self._parts.port)
        self.latency = latency
        self.flowing = True
        self.largest_answer: int | None = None
        self.largest_request: int | None = None
        self.forge: Callable[[bytes], bytes] = bytes
        self.connections = 0
        self.port = 0
        self.ended = False
        self._listening: socket.socket | None = None
        self._ends: set[_End] = set()
        self._connecting: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """The server's URL with this proxy's address in it."""
        credentials, at, _ = self._parts.netloc.rpartition("@")
        return urlunsplit(self._parts._replace(netloc=f"{credentials}{at}127.0.0.1:{self.port}"))

    async def __aenter__(self) -> Self:
        await self.accept()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.ended = True
        self._stop_listening()
        await end(*self._connecting)
        for each in list(self._ends):
            each.transport.abort()
        await last_turns()

    @property
    def listens(self) -> bool:
        """Whether it takes connections."""
        return self._listening is not None

    def stall(self) -> None:
        """Let nothing through in either direction; connections, new ones too, stay open and silent."""
        self.flowing = False

    def hold_answers(self, *, larger_than: int) -> None:
        """Let requests through, and answers of up to so many bytes; hold back a larger one, and what comes after it."""
        self.largest_answer = larger_than

    def hold_requests(self, *, larger_than: int) -> None:
        """Let answers through, and requests of up to so many bytes; hold back a larger one, and what comes after it."""
        self.largest_request = larger_than

    @property
    def held(self) -> int:
        """How many connections have an answer that is held back."""
        return sum(end.holds for end in self._ends if end.far)

    @property
    def held_requests(self) -> int:
        """How many connections have a request that is held back."""
        return sum(end.holds for end in self._ends if not end.far)

    def resume(self) -> None:
        """Let everything through again, what was held back included."""
        self.flowing, self.largest_answer, self.largest_request = True, None, None
        for each in list(self._ends):
            each.flush()

    def refuse(self) -> None:
        """Refuse new connections and reset those there are."""
        self._stop_listening()
        self.reset()

    async def accept(self) -> None:
        """Take connections (again)."""
        if self._listening is None:
            self._listening = socket.create_server(("127.0.0.1", self.port))
            self.port = self._listening.getsockname()[1]
            await asyncio.get_running_loop().create_server(self._near_end, sock=self._listening)

    def reset(self) -> None:
        """Reset every connection there is, as a killed peer or a dying router would."""
        for each in list(self._ends):
            each.reset()

    def half_open(self) -> None:
        """Reset the servers' ends of the connections that there are; the clients' ends stay open and silent."""
        for each in list(self._ends):
            if each.far and each.peer is not None:
                each.peer.peer = None
                each.peer = None
                each.reset()

    def _stop_listening(self) -> None:
        if self._listening is not None:
            stop_listening(self._listening)
            self._listening = None

    def _near_end(self) -> "_End":
        self.connections += 1
        near = _End(self, self._ends)
        task = asyncio.get_running_loop().create_task(self._connect(near))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)
        return near

    async def _connect(self, near: "_End") -> None:
        far = _End(self, self._ends, far=True)
        far.peer, near.peer = near, far
        try:
            await asyncio.get_running_loop().create_connection(lambda: far, *self.target)
        except OSError:
            near.reset()
        else:
            near.flush()


class _End(asyncio.Protocol):
    """One of the two connections of a pair; what comes in here waits to go out at its peer."""

    def __init__(self, proxy: Proxy, ends: "set[_End]", *, far: bool = False) -> None:
        self.peer: _End | None = None
        self.far = far
        self._proxy = proxy
        self._ends = ends
        self._transport: asyncio.Transport | None = None
        self._held: deque[tuple[float, bytes]] = deque()
        self._clock = asyncio.get_running_loop().time

    @property
    def transport(self) -> asyncio.Transport:
        """Its connection, once made."""
        assert self._transport is not None
        return self._transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ends.add(self)
        if self._proxy.ended or not (self.far or self._proxy.listens):
            transport.abort()  # it was on its way when the proxy ended, or refused any more

    def data_received(self, data: bytes) -> None:
        sent = self._proxy.forge(data) if self.far else data
        self._held.append((self._clock() + self._proxy.latency, sent))
        self.flush()

    def eof_received(self) -> bool:
        self.data_received(b"")
        return True  # the other direction stays open

    def connection_lost(self, error: Exception | None) -> None:
        self._ends.discard(self)
        if self.peer is not None and self.peer._transport is not None:
            if error is None:
                self.peer.transport.close()
            else:
                self.peer.reset()

    @property
    def holds(self) -> bool:
        """Whether something waits here."""
        return bool(self._held)

    def _flows(self) -> bool:
        largest = self._proxy.largest_answer if self.far else self._proxy.largest_request
        return self._proxy.flowing and (largest is None or len(self._held[0][1]) <= largest)

    def flush(self) -> None:
        """Send on what is due; while the proxy stalls, nothing is."""
        peer = self.peer
        while self._held and self._flows() and peer is not None and peer._transport is not None:
            due, data = self._held[0]
            wait = due - self._clock()
            if wait > 0:
                asyncio.get_running_loop().call_later(wait, self.flush)
                return
            self._held.popleft()
            if data:
                peer.transport.write(data)
            elif peer.transport.can_write_eof() and not peer.transport.is_closing():
                with suppress(OSError):  # the peer has gone, and we have yet to hear of it
                    peer.transport.write_eof()

    def reset(self) -> None:
        """Abort the connection with a RST instead of a FIN."""
        if self._transport is not None and not self._transport.is_closing():
            end: socket.socket = self._transport.get_extra_info("socket")
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RESET)
            self._transport.abort()
