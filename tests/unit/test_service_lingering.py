"""The end of a connection whose answer comes before the end of a request."""

import asyncio

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from service.protocol import LimitedProtocol


async def exchange(request: bytes) -> tuple[bytes, list[BaseException]]:
    """Send bytes to an application; return what comes back, and what writing the answer raised.

    They come in one piece, and it begins when all of that has been parsed.
    """
    raised: list[BaseException] = []
    answered = asyncio.Event()

    async def application(_scope: Scope, _receive: Receive, send: Send) -> None:
        try:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
            await send({"type": "http.response.body", "body": b"late"})
        except Exception as error:  # noqa: BLE001 - whatever it is, the test shows it
            raised.append(error)
        answered.set()

    config = uvicorn.Config(application, log_config=None, ws="none")
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: LimitedProtocol(config, ServerState(), {}), "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(request)
        answer = await reader.read()
        await answered.wait()
        writer.close()
        await writer.wait_closed()
    return answer, raised


@pytest.mark.parametrize("behind", [b"\x16\x03\x01\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"], ids=["garbage", "no host"])
async def test_what_is_refused_behind_a_request_ends_the_connection_for_both(behind: bytes) -> None:
    """The answer that is under way meets a connection that is closed, and not one that it may no longer write to."""
    answer, raised = await exchange(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n" + behind)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert raised == []
