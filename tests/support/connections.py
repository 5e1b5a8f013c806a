"""A connection to uvicorn's protocol without a network: its bytes, its flow control, its end."""

import asyncio
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

HIGH_WATER = 64 * 1024
LOW_WATER = 16 * 1024
DATE = b"Mon, 23 Nov 2026 12:00:00 GMT"
QUIET_TURNS = 25
"""So many turns of the event loop without anything to see are enough: nothing here waits for a server."""


class Wire(asyncio.Transport):
    """A transport as asyncio's and uvloop's are: what has been sent waits until the client reads it."""

    def __init__(self) -> None:
        super().__init__()
        self.protocol: HttpToolsProtocol
        self.sent = bytearray()
        """All that the client has read."""
        self.waiting = bytearray()
        self.most_waiting = 0
        self.incoming = bytearray()
        self.reading = True
        self.closing = False
        self.lost = False
        self._full = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Know nothing."""
        del name
        return default

    def is_closing(self) -> bool:
        """Tell whether the connection ends when all has been sent."""
        return self.closing

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take what is to be sent."""
        if self.closing:
            return
        self.waiting += data
        self.most_waiting = max(self.most_waiting, len(self.waiting))
        if not self._full and len(self.waiting) > HIGH_WATER:
            self._full = True
            self.protocol.pause_writing()

    def pause_reading(self) -> None:
        """Leave what comes to wait."""
        self.reading = False

    def resume_reading(self) -> None:
        """Go on."""
        self.reading = True

    def can_write_eof(self) -> bool:
        """Be like TLS: an end is that of both directions."""
        return False

    def close(self) -> None:
        """End when all has been sent."""
        self.closing = True
        self.reading = False

    def arrive(self, data: bytes) -> None:
        """Let bytes of the client come."""
        self.incoming += data
        self.deliver()

    def deliver(self) -> None:
        """Hand on what has come, if it is wanted."""
        if self.incoming and self.reading and not self.closing:
            data, self.incoming = bytes(self.incoming), bytearray()
            self.protocol.data_received(data)

    def read(self, size: int) -> None:
        """Let the client read."""
        self.sent += self.waiting[:size]
        del self.waiting[:size]
        if self._full and len(self.waiting) <= LOW_WATER:
            self._full = False
            self.protocol.resume_writing()
        if self.closing and not self.waiting and not self.lost:
            self.lost = True
            self.protocol.connection_lost(None)


class Connection:
    """A client's connection to an application on `kind`, a protocol of uvicorn's."""

    def __init__(self, kind: type[HttpToolsProtocol], app: ASGIApp, app_state: dict[str, Any], **options: Any) -> None:
        given = {"interface": "asgi3", "log_config": None, "access_log": False, "ws": "none", "proxy_headers": False}
        self.state = ServerState()
        self.state.default_headers = [(b"date", DATE)]
        self.wire = Wire()
        self.protocol = kind(uvicorn.Config(app, **{**given, **options}), self.state, app_state)
        self.wire.protocol = self.protocol
        self.protocol.connection_made(self.wire)

    @property
    def asked_application(self) -> bool:
        """Whether uvicorn has made anything of a request."""
        return type(self.protocol.cycle) is RequestResponseCycle

    def is_idle(self) -> bool:
        """Whether it is counted from now on how long the client keeps silent."""
        return self.protocol.timeout_keep_alive_task is not None

    async def settle(self) -> None:
        """Let every task run on to where it waits for the client."""
        quiet = 0
        while self.state.tasks and quiet < QUIET_TURNS:
            before = len(self.wire.waiting), len(self.state.tasks)
            await asyncio.sleep(0)
            self.wire.deliver()
            quiet = quiet + 1 if before == (len(self.wire.waiting), len(self.state.tasks)) else 0

    async def end(self) -> bytes:
        """Have the client read all that is sent, and go; return it."""
        await self.settle()
        while self.wire.waiting:
            self.wire.read(len(self.wire.waiting))
            await self.settle()
        sent = bytes(self.wire.sent)
        if not self.wire.lost:
            self.wire.closing = True
            self.wire.read(0)
        self.protocol._unset_keepalive_if_required()
        await self.settle()
        return sent
