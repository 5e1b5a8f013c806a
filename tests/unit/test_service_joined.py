"""Head and body of an answer in one piece: what the client gets is what uvicorn would send, in fewer pieces."""

import asyncio
from collections.abc import Sequence

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.joined import LEAST_APART
from service.protocol import LimitedProtocol
from tests.support.connections import Connection

GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
CLOSE = GET.replace(b"host: x", b"host: x\r\nconnection: close")
HEAD = GET.replace(b"GET", b"HEAD")
EXPECT = b"PUT / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\nhi"
OLD = GET.replace(b"1.1", b"1.0")

START = "http.response.start"
BODY = "http.response.body"


def answering(status: int, *parts: bytes, length: bool = True, read: bool = False, fail: bool = False) -> ASGIApp:
    """Return an application that sends `parts`."""
    headers = [(b"content-length", b"%d" % sum(map(len, parts)))] if length else []

    async def application(_: Scope, receive: Receive, send: Send) -> None:
        if read:
            await receive()
        await send({"type": START, "status": status, "headers": headers})
        for number, part in enumerate(parts, 1):
            await send({"type": BODY, "body": part, "more_body": number < len(parts) or fail})
        if fail:
            raise ValueError

    return application


async def said(kind: type[HttpToolsProtocol], app: ASGIApp, requests: Sequence[bytes]) -> tuple[bytes, bool]:
    """Return what a client gets, and whether it is left alone then."""
    connection = Connection(kind, app, {})
    for request in requests:
        connection.wire.arrive(request)
        await connection.settle()
    closing = connection.wire.closing
    return await connection.end(), closing


@pytest.mark.parametrize(
    "requests", [[GET], [GET * 3], [HEAD, GET], [HEAD + GET], [CLOSE], [EXPECT], [OLD], [GET, b"?"]]
)
@pytest.mark.parametrize(
    "app",
    [
        answering(200, b"small"),
        answering(200, b"x" * (LEAST_APART + 1)),
        answering(200, b"HTTP/1.1 ", b"", b"three"),
        answering(200, b"chunks", b"", b"three", length=False),
        answering(200, b"HTTP/1.1 200 OK\r\n\r\n", read=True),
        answering(304, b"", length=False),
        answering(204, b""),
        answering(200, b"half", fail=True),
        answering(200, fail=True),
    ],
)
@pytest.mark.filterwarnings("ignore")
async def test_the_bytes_are_uvicorns(app: ASGIApp, requests: list[bytes]) -> None:
    """Whatever the application sends, in however many parts; but for our own answer to what cannot be parsed."""
    ours, theirs = [await said(kind, app, requests) for kind in (LimitedProtocol, HttpToolsProtocol)]
    if requests[-1] == b"?":
        ours, theirs = [(sent.split(b"HTTP/1.1 400", 1)[0], closing) for sent, closing in (ours, theirs)]
    assert ours == theirs


@pytest.mark.parametrize("size", [2, LEAST_APART + 1])
async def test_an_answer_is_one_piece(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One packet where it fits into one."""
    connection = Connection(LimitedProtocol, answering(200, b"x" * size), {})
    pieces: list[bytes] = []
    monkeypatch.setattr(connection.wire, "write", pieces.append)
    connection.wire.arrive(GET * 2)
    await connection.settle()
    assert [piece.startswith(b"HTTP/1.1 200 OK\r\n") and piece.endswith(b"x" * size) for piece in pieces] == [True] * 2
    await connection.end()


async def test_a_head_does_not_wait_for_a_late_body() -> None:
    """A stream is there as soon as it begins, and goes on piece by piece."""
    go_on = asyncio.Event()

    async def application(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": START, "status": 200, "headers": []})
        await go_on.wait()
        await send({"type": BODY, "body": b"late"})

    connection = Connection(LimitedProtocol, application, {})
    connection.wire.arrive(GET)
    await connection.settle()
    assert connection.wire.waiting.endswith(b"\r\n\r\n")
    go_on.set()
    assert (await connection.end()).endswith(b"\r\n4\r\nlate\r\n0\r\n\r\n")


async def test_a_client_that_is_gone_gets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is written to a transport that closes: uvloop's would raise."""

    async def application(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": START, "status": 200, "headers": []})
        connection.wire.closing = True
        await asyncio.sleep(0)

    connection = Connection(LimitedProtocol, application, {})
    pieces: list[bytes] = []
    monkeypatch.setattr(connection.wire, "write", pieces.append)
    connection.wire.arrive(GET)
    await connection.settle()
    assert pieces == []
    await connection.end()
