"""Plain hits answered by the server's protocol: before ASGI, in their turn, and never more than the client reads."""

import asyncio
import re
from typing import Any

import pytest

from tests.support.api import ADMIN_KEY, ANALYST_KEY
from tests.support.connections import HIGH_WATER
from tests.support.hit_path import BODIES, LARGE, MISSING, SMALL, HeldUp, Side, fast_protocol, request


@pytest.fixture
def side() -> Side:
    """An API whose protocol knows every target of BODIES, all of them cached."""
    side = fast_protocol()
    side.fill()
    side.teach()
    return side


@pytest.fixture
async def held_up(monkeypatch: pytest.MonkeyPatch) -> HeldUp:
    """See HeldUp."""
    return HeldUp(monkeypatch)


async def test_a_hit_is_written_before_anybody_else_runs(side: Side) -> None:
    """No task, no scope, no cycle: the answer is there when the request is."""
    connection = side.connect()
    for method in ("GET", "HEAD"):
        connection.wire.arrive(request(method=method))
    assert not connection.asked_application
    assert not connection.state.tasks
    assert connection.state.total_requests == 2
    body = BODIES[SMALL][-1]
    answers = bytes(connection.wire.waiting)
    assert answers.count(b"HTTP/1.1 200 OK\r\n") == 2
    assert answers.count(b"content-length: %d\r\n" % len(body)) == 2
    assert answers.count(body) == 1
    await connection.end()


@pytest.mark.parametrize(
    "data",
    [
        request(MISSING),
        request(key=ADMIN_KEY),
        request(version="1.0"),
        request(method="PUT"),
        request().replace(b"host: x", b"host: x\r\nconnection: close"),
        request().replace(b"host: x", b"host: x\r\nx-api-key: " + ANALYST_KEY.encode()),
        request().replace(b"host: x", b"host: x\r\ncache-control: no-cache"),
        request().replace(b"host: x", b"host: x\r\ncache-generation: 11"),
        request().replace(b"host: x", b"host: x\r\naccept-encoding: br;q=1, gzip;q=1\r\naccept-encoding: zstd"),
    ],
)
async def test_all_else_goes_the_normal_way(side: Side, data: bytes) -> None:
    """To the application, by uvicorn's own hands."""
    connection = side.connect()
    connection.wire.arrive(data)
    assert connection.asked_application
    await connection.end()


@pytest.mark.parametrize("option", [{"limit_concurrency": 5}, {"access_log": True}])
async def test_what_uvicorn_does_with_each_request_is_left_to_it(side: Side, option: dict[str, Any]) -> None:
    """A limit on concurrency, an access log: the application answers then, and hits are fast there."""
    connection = side.connect(**option)
    connection.wire.arrive(request())
    assert connection.asked_application
    assert (await connection.end()).startswith(b"HTTP/1.1 200 OK")


async def test_a_hit_waits_for_its_turn(side: Side, held_up: HeldUp) -> None:
    """An earlier request on the connection is answered first, however long it takes."""
    connection = side.connect()
    connection.wire.arrive(request() + request(MISSING) + request())
    await connection.settle()
    assert connection.wire.waiting.count(b"HTTP/1.1 200 OK") == 1
    answers = await held_up.release(connection)
    details = [part.partition(b"\r\n")[0] for part in answers.split(b"detail=")[1:]]
    assert details == [b"l1", b"db", b"l1"]
    assert connection.state.total_requests == 3


async def test_nobody_is_thought_idle_while_a_request_is_under_way(side: Side, held_up: HeldUp) -> None:
    """The time for keeping a connection alive begins when the last of its requests has been answered."""
    connection = side.connect()
    connection.wire.arrive(request())
    timer = connection.protocol.timeout_keep_alive_task
    assert timer is not None
    connection.wire.arrive(request())
    assert not timer.cancelled()
    connection.wire.arrive(request() + request(MISSING))
    await connection.settle()
    assert timer.cancelled()
    assert not connection.is_idle()
    await held_up.release(connection)


async def test_an_idle_client_is_hung_up_on(side: Side) -> None:
    """After the keep-alive time, as after any other answer; half a request does not count."""
    connection = side.connect(timeout_keep_alive=0)
    connection.wire.arrive(request() + request()[:20])
    for _ in range(100):
        await asyncio.sleep(0.001)
        if connection.wire.closing:
            break
    assert connection.wire.closing
    await connection.end()


async def test_each_hit_gives_the_client_the_whole_time_again(side: Side) -> None:
    """A timer that was set before looks again, when it ends, how long the client has been silent."""
    connection = side.connect(timeout_keep_alive=5)
    connection.wire.arrive(request())
    connection.wire.arrive(request())
    connection.protocol.timeout_keep_alive_handler()
    assert connection.is_idle()
    assert [connection.wire.closing] == [False]
    connection.protocol._idle_since -= 6  # type: ignore[attr-defined] # it is the fast one
    connection.protocol.timeout_keep_alive_handler()
    assert connection.wire.closing
    await connection.end()


@pytest.mark.parametrize("together", [20, 2, 1])
async def test_no_more_is_written_than_a_slow_client_reads(side: Side, together: int) -> None:
    """Answers do not pile up, and all of them come when they are read."""
    connection = side.connect()
    for _ in range(20 // together):
        connection.wire.arrive(request(LARGE) * together)
    await connection.settle()
    size = len(BODIES[LARGE][-1]) + 1000
    assert connection.wire.most_waiting <= HIGH_WATER + size
    answers = b""
    while connection.wire.waiting:
        connection.wire.read(10_000)
        await connection.settle()
    answers = bytes(connection.wire.sent)
    assert answers.count(b"HTTP/1.1 200 OK") == 20
    assert connection.wire.most_waiting <= HIGH_WATER + size
    assert connection.state.total_requests == 20
    await connection.end()


async def test_a_server_that_stops_closes_what_is_idle(side: Side, held_up: HeldUp) -> None:
    """A connection whose requests were hits at once, another one after its last answer."""
    idle, busy = side.connect(), side.connect()
    idle.wire.arrive(request())
    busy.wire.arrive(request() + request(MISSING))
    await busy.settle()
    idle.protocol.shutdown()
    busy.protocol.shutdown()
    assert idle.wire.closing
    assert not busy.wire.closing
    assert (await held_up.release(busy)).count(b"HTTP/1.1 200 OK") == 2
    await idle.end()
    assert busy.wire.closing


async def test_age_and_time_left_are_those_of_the_moment(side: Side) -> None:
    """A response that was made a moment ago is not sent when another second has begun."""
    connection = side.connect()
    for seconds in (0.0, 0.4, 0.2, 1.0):
        side.advance(seconds)
        connection.wire.arrive(request())
    answers = await connection.end()
    shown = re.findall(rb"age: (\d+)\r\ncache-status: anomaly-cache; hit; ttl=(\d+)", answers)
    assert shown == [(b"0", b"60"), (b"0", b"60"), (b"0", b"60"), (b"1", b"59")]


async def test_a_hit_is_counted_once(side: Side) -> None:
    """However often the metrics are read."""
    connection = side.connect()
    connection.wire.arrive(request() * 3)
    first = side.counts()
    assert first == side.counts()
    assert first['cache_layer_hits_total{cache_key_type="anomalies",layer="l1"}'] == 3
    connection.wire.arrive(request())
    assert side.counts()['cache_hits_total{cache_key_type="anomalies"}'] == 4
    await connection.end()


async def test_the_date_is_the_server_s(side: Side) -> None:
    """As are all headers that uvicorn adds; they change each second."""
    connection = side.connect()
    connection.wire.arrive(request())
    connection.state.default_headers = [(b"date", b"tomorrow"), (b"server", b"test")]
    connection.wire.arrive(request())
    answers = await connection.end()
    assert answers.count(b"date: Mon, 23 Nov 2026 12:00:00 GMT\r\n") == 1
    assert answers.count(b"HTTP/1.1 200 OK\r\ndate: tomorrow\r\nserver: test\r\ncontent-type:") == 1
