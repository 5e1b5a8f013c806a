"""An answer that is given before all of the request has come, and its connection's end (RFC 9112, section 9.6)."""

import asyncio

LINGER_SECONDS = 5.0
"""How long a client may go on to send what nobody needs any more."""


class _Lingering(asyncio.Protocol):
    """Takes the place of a connection's protocol, which hears of nothing more but the connection's end."""

    def __init__(self, protocol: asyncio.BaseProtocol, late: asyncio.TimerHandle) -> None:
        self._protocol = protocol
        self._late = late

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone, or its time is over."""
        self._late.cancel()
        self._protocol.connection_lost(exc)


def linger(protocol: asyncio.BaseProtocol, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
    """Send what is written, say that there is no more, and close the connection when the client has heard it.

    Closed at once, with something of the request unread, it would be reset by the kernel, and the answer be lost to a
    client, or to a proxy, that is still sending.
    """
    if transport.is_closing():
        return
    if not transport.can_write_eof():
        transport.close()
        return
    transport.set_protocol(_Lingering(protocol, loop.call_later(LINGER_SECONDS, transport.close)))
    transport.write_eof()
    transport.resume_reading()
