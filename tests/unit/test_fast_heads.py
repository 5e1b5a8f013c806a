"""Requests that came before to the byte: not parsed again, and decided anew each time."""

from typing import Any, Literal

import pytest

from coherence.entry import Entry
from tests.support.api import ANALYST_KEY
from tests.support.connections import Connection
from tests.support.hit_path import BODIES, MISSING, SMALL, TTL, HeldUp, Side, fast_protocol, request

OK = b"HTTP/1.1 200 OK\r\n"


class Unparsing:
    """Stands where the parser does, and remembers what it should have parsed."""

    def __init__(self) -> None:
        self.fed: list[bytes] = []

    def feed_data(self, data: bytes) -> None:
        """See httptools."""
        self.fed.append(data)


class Told:
    """A witness."""

    def __init__(self) -> None:
        self.hits = 0

    def hit(self, entry: Entry, layer: Literal["l1", "l2"]) -> None:
        """Count."""
        del entry, layer
        self.hits += 1


@pytest.fixture
async def side() -> Side:
    """An API that has answered request() often enough to know it."""
    side = fast_protocol()
    side.fill()
    side.teach()
    for _ in range(2):
        connection = side.connect()
        connection.wire.arrive(request())
        await connection.end()
    assert len(side.hits.heads) == 1
    return side


@pytest.fixture
async def held_up(monkeypatch: pytest.MonkeyPatch) -> HeldUp:
    """See HeldUp."""
    return HeldUp(monkeypatch)


def unparsing(connection: Connection) -> Unparsing:
    """Take the parser away."""
    instead = Unparsing()
    protocol: Any = connection.protocol
    protocol.parser = instead
    return instead


async def test_a_request_that_came_before_is_not_parsed(side: Side) -> None:
    """On whatever connection it came; one that differs in a byte is."""
    connection = side.connect()
    parser = unparsing(connection)
    for _ in range(3):
        connection.wire.arrive(request())
    assert parser.fed == []
    assert connection.wire.waiting.count(OK) == 3
    assert connection.state.total_requests == 3
    assert connection.is_idle()
    connection.wire.arrive(request(key=ANALYST_KEY + "x"))
    assert parser.fed == [request(key=ANALYST_KEY + "x")]


@pytest.mark.parametrize("change", ["row", "lease", "gone", "wrong key"])
async def test_no_answer_is_remembered(side: Side, change: str) -> None:
    """It is asked each time whether there is one that is proven fresh; all else is the application's to say."""
    connection = side.connect()
    if change == "row":
        side.change("anomalies")
    elif change == "lease":
        side.clock.advance(10)
    elif change == "gone":
        side.coherence.l1._kept.clear()
    connection.wire.arrive(request(key="wrong-key-0123456789" if change == "wrong key" else ANALYST_KEY))
    assert connection.asked_application
    await connection.end()


async def test_what_is_to_be_refreshed_is_asked_for_once(side: Side) -> None:
    """The first request after that moment goes the long way and has it loaded; those after it are hits as before."""
    question, query_string, name, body = BODIES[SMALL]
    entry = Entry(question.ask(query_string, name), side.coherence.view.generation, 0.0, TTL, '"x"', body)
    now = side.clock()
    side.coherence.l1.put(entry, now + TTL, side.coherence.view.generation, refresh_at=now + 10)
    long_ways = 0
    for _ in range(19):
        side.advance(1)
        connection = side.connect()
        connection.wire.arrive(request())
        long_ways += connection.asked_application
        assert (await connection.end()).startswith(OK)
    assert long_ways == 1


async def test_the_audit_is_told_of_each(side: Side) -> None:
    """Whoever looks at hits sees these, too."""
    told = Told()
    side.coherence.tell(told)
    connection = side.connect()
    for count in (1, 2, 3):
        connection.wire.arrive(request())
        assert told.hits == count
    await connection.end()


async def test_it_waits_for_its_turn(side: Side, held_up: HeldUp) -> None:
    """An earlier request on the connection is answered first."""
    connection = side.connect()
    connection.wire.arrive(request(MISSING))
    connection.wire.arrive(request())
    await connection.settle()
    assert connection.wire.waiting == b""
    answers = await held_up.release(connection)
    assert [part.partition(b"\r\n")[0] for part in answers.split(b"detail=")[1:]] == [b"db", b"l1"]


async def test_within_another_request_it_is_none(side: Side) -> None:
    """What has begun goes on."""
    connection = side.connect()
    connection.wire.arrive(b"GET /api/v1/nothing HTTP/1.1\r\nx-api-key: ")
    connection.wire.arrive(request())
    assert (await connection.end()).startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize("rest", [request(MISSING), request("/livez"), request()[:30]])
async def test_what_else_came_with_a_request_is_not_forgotten(side: Side, rest: bytes, held_up: HeldUp) -> None:
    """However often both came in one piece."""
    for _ in range(4):
        connection = side.connect()
        connection.wire.arrive(request() + rest)
        connection.wire.arrive(request()[30:] if len(rest) == 30 else b"")
        await connection.settle()
        answers = await held_up.release(connection)
        assert answers.count(OK) == 2


async def test_the_end_of_a_request_is_none(side: Side) -> None:
    """However often it came, and was the end of one that was a hit."""
    for _ in range(3):
        connection = side.connect()
        connection.wire.arrive(request()[:40])
        connection.wire.arrive(request()[40:])
        assert (await connection.end()).startswith(OK)
    connection = side.connect()
    connection.wire.arrive(request()[40:])
    assert (await connection.end()).startswith(b"HTTP/1.1 400 ")
