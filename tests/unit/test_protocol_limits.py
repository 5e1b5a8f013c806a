"""What is refused before there is an application to ask, and what is not waited for, with and without the hit path."""

import asyncio
import json
from collections.abc import Callable

import pytest

from tests.support.connections import DATE, Connection
from tests.support.hit_path import MISSING, HeldUp, Side, fast_protocol, long_way, request
from tests.support.waiting import eventually

SIDES = [pytest.param(long_way, id="long"), pytest.param(fast_protocol, id="fast")]
LONG = b" /" + b"x" * 9000 + b" HTTP/1.1\r\n"


@pytest.fixture(params=SIDES)
async def connection(request: pytest.FixtureRequest) -> Connection:
    """A client's connection to an API that has answers."""
    make: Callable[[], Side] = request.param
    side = make()
    side.fill()
    side.teach()
    return side.connect()


def with_host(value: bytes) -> bytes:
    """Return a request for a host."""
    return request().replace(b"host: x", b"host:" + value)


async def refusal(connection: Connection) -> tuple[int, str]:
    """Return the status of the last answer, and its kind of problem."""
    head, _, body = (await connection.end()).rpartition(b"HTTP/1.1 ")[2].partition(b"\r\n\r\n")
    assert b"\r\nconnection: close" in head
    return int(head[:3]), json.loads(body)["type"].rpartition(":")[2]


@pytest.mark.parametrize(
    ("method", "bodies"), [(b"GET", 1), (b"HEAD", 0)], ids=lambda each: each.decode() if isinstance(each, bytes) else ""
)
async def test_a_refusal_is_an_answer_like_any_other(connection: Connection, method: bytes, bodies: int) -> None:
    """It has the Date, and a HEAD gets no body, though its length."""
    connection.wire.arrive(method + LONG)
    answer = await connection.end()
    assert answer.startswith(b"HTTP/1.1 414 ")
    assert b"\r\ndate: " + DATE + b"\r\n" in answer
    assert b"\r\ncontent-length: 145\r\n" in answer
    assert answer.count(b"uri-too-long") == bodies


async def test_what_cannot_be_read_after_a_head_is_told_why(connection: Connection) -> None:
    """The method of an earlier request says nothing of the next one."""
    connection.wire.arrive(request(method="HEAD"))
    connection.wire.arrive(b"\x16\x03\x01")
    assert await refusal(connection) == (400, "malformed-request")


@pytest.mark.parametrize("value", [b"x", b" x:8000 \t", b"[::1]:8000", b"", b"a_b.example.com:", b"%41,b"])
async def test_a_host_is_one(connection: Connection, value: bytes) -> None:
    """A name, an address, with a port or without, or nothing."""
    connection.wire.arrive(with_host(value))
    assert (await connection.end()).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("value", [b"a b", b"a/b", b"x@y", b"x:y", b"[::1", b"a, b", b"\xff", b"x\r\nhost: x"])
async def test_what_is_no_host_is_refused(connection: Connection, value: bytes) -> None:
    """As RFC 9112 asks: a proxy may take it for another one than we."""
    connection.wire.arrive(with_host(value))
    assert await refusal(connection) == (400, "malformed-request")


async def test_blanks_behind_a_key_are_no_part_of_it(connection: Connection) -> None:
    """Nor behind any header's value."""
    data = request()
    key = data.partition(b"x-api-key: ")[2].strip()
    for _ in range(3):
        connection.wire.arrive(data.replace(key, key + b" \t"))
    assert (await connection.end()).count(b"HTTP/1.1 200 ") == 3


async def test_the_server_as_a_whole_has_options(connection: Connection) -> None:
    """`OPTIONS *` needs no key, and is answered; there is nothing else at `*`."""
    connection.wire.arrive(b"OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\nGET * HTTP/1.1\r\nhost: x\r\n\r\n")
    answers = await connection.end()
    assert answers.startswith(b"HTTP/1.1 204 No Content\r\n")
    assert b"\r\nallow: GET, HEAD, OPTIONS, POST, PUT\r\n" in answers
    assert answers.count(b"HTTP/1.1 404 ") == 1


async def test_a_head_that_does_not_come_is_not_waited_for(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever sends a little of it now and then is told so in the end, and hung up on."""
    monkeypatch.setattr("service.protocol.HEAD_SECONDS", 0.05)
    connection.wire.arrive(request())
    await connection.settle()
    for byte in request()[:-1]:
        if connection.wire.closing:
            break
        connection.wire.arrive(bytes([byte]))
        await asyncio.sleep(0.01)
    assert connection.wire.closing
    assert await refusal(connection) == (408, "request-timeout")


async def test_nobody_is_late_who_waits_for_an_answer(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """We may not read what he sends meanwhile; and each head has its own time."""
    held_up = HeldUp(monkeypatch)
    monkeypatch.setattr("service.protocol.HEAD_SECONDS", 0.02)
    connection.wire.arrive(request(MISSING))
    half = len(request()) // 2
    connection.wire.arrive(request()[:half])
    await asyncio.sleep(0.06)
    monkeypatch.setattr("service.protocol.HEAD_SECONDS", 30)
    await asyncio.sleep(0.06)
    connection.wire.arrive(request()[half:])
    await asyncio.sleep(0.06)
    assert (await held_up.release(connection)).count(b"HTTP/1.1 200 ") == 2


async def test_a_head_that_has_come_is_not_late(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many pieces it came in."""
    monkeypatch.setattr("service.protocol.HEAD_SECONDS", 0.02)
    connection.wire.arrive(request()[:20])
    connection.wire.arrive(request()[20:])
    await asyncio.sleep(0.06)
    assert not connection.wire.closing
    assert (await connection.end()).count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("make", SIDES)
async def test_who_says_nothing_is_idle(make: Callable[[], Side]) -> None:
    """From the first moment on, not only after an answer."""
    talking, connection = make().connect(), make().connect(timeout_keep_alive=0)
    assert talking.is_idle()
    talking.wire.arrive(request(MISSING)[:20])
    assert not talking.is_idle()
    await talking.end()
    await eventually(lambda: connection.wire.closing, within=20)
    assert await connection.end() == b""


async def test_a_client_that_goes_leaves_no_timer(connection: Connection) -> None:
    """Neither for its silence nor for its head."""
    connection.wire.arrive(request()[:20])
    await connection.end()
    assert connection.wire.lost
    late = connection.protocol._late  # type: ignore[attr-defined] # of the limited one
    assert late.cancelled()
    assert not connection.is_idle()
