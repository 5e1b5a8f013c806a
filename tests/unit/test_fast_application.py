"""Plain hits answered by the application, ahead of its routes, under whatever server."""

from typing import Any

import pytest
from starlette.types import Message

from service.fast.hits import Hits
from tests.support.api import ANALYST_KEY
from tests.support.hit_path import BODIES, Side, fast_application

TARGET = "/api/v1/anomalies?limit=2"


@pytest.fixture
def side() -> Side:
    """An API that knows every target of BODIES, all of them cached."""
    side = fast_application()
    side.fill()
    side.teach()
    return side


def scope_of(path: str = "/api/v1/anomalies", **more: Any) -> dict[str, Any]:
    """Return the scope of a request for TARGET, as an ASGI server makes it."""
    return {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"limit=2",
        "root_path": "",
        "headers": [(b"x-api-key", ANALYST_KEY.encode())],
        **more,
    }


async def ask(side: Side, scope: dict[str, Any]) -> list[Message]:
    """Return what the application sends."""
    sent: list[Message] = []

    async def receive() -> Message:
        raise AssertionError("nobody should read the body")

    async def send(message: Message) -> None:
        sent.append(message)

    await side.application(scope, receive, send)
    return sent


async def test_a_hit_is_answered_ahead_of_the_routes(side: Side) -> None:
    """Nothing is added to the scope on the way."""
    scope = scope_of()
    start, body = await ask(side, scope)
    assert (start["status"], body["body"]) == (200, BODIES[TARGET][-1])
    assert "app" not in scope


async def test_what_came_before_and_is_no_hit_now_passes_the_routes_by(side: Side) -> None:
    """It is answered as its route does: here, that Postgres cannot be reached."""
    side.change("anomalies")
    scope = scope_of()
    start, body = await ask(side, scope)
    assert start["status"] == 503
    assert b"database-unavailable" in body["body"]
    assert "app" not in scope


async def test_what_a_server_does_to_a_response_is_done_to_that_one(side: Side) -> None:
    """Others that are made of the same bytes are as they were."""
    first, _ = await ask(side, scope_of())
    before = list(first["headers"])
    first["headers"].append((b"x-added", b"by middleware"))
    second, _ = await ask(side, scope_of())
    assert second["headers"] == before


async def test_a_request_that_came_before_is_not_read_again(side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it asks is known by its head; one that differs in anything is read."""
    for _ in range(2):
        await ask(side, scope_of())
    read: list[bytes] = []
    monkeypatch.setattr(side.hits, "read", lambda target, _method, _headers: read.append(target))
    start, body = await ask(side, scope_of())
    assert (start["status"], body["body"]) == (200, BODIES[TARGET][-1])
    assert read == []
    for other in (
        scope_of(method="HEAD"),
        scope_of(query_string=b"limit=02"),
        scope_of(headers=[(b"x-api-key", b"wrong-key-0123456789")]),
        scope_of(headers=[(b"x-api-key", ANALYST_KEY.encode()), (b"accept", b"*/*")]),
    ):
        await ask(side, other)
    assert len(read) == 4


async def test_no_answer_is_remembered(side: Side) -> None:
    """A head that came before is asked for anew: a change has ended its answer, so it is loaded, in vain here."""
    for _ in range(3):
        assert (await ask(side, scope_of()))[0]["status"] == 200
    side.change("anomalies")
    assert (await ask(side, scope_of()))[0]["status"] == 503


async def test_headers_may_be_lists(side: Side) -> None:
    """Some servers give pairs that cannot be looked up."""
    for _ in range(3):
        start, _ = await ask(side, scope_of(headers=[[b"x-api-key", ANALYST_KEY.encode()]]))
        assert start["status"] == 200
    assert len(side.hits.heads) == 0


@pytest.mark.parametrize("without", ["raw_path", "root_path"])
async def test_a_server_need_not_tell_all(side: Side, without: str) -> None:
    """The raw path and the root path are optional in ASGI."""
    scope = scope_of()
    del scope[without]
    start, _ = await ask(side, scope)
    assert start["status"] == 200


async def test_a_prefix_is_the_routes_business(side: Side) -> None:
    """Behind one, the same target means something else."""
    start, _ = await ask(side, scope_of(path="/behind/api/v1/anomalies", root_path="/behind"))
    assert start["status"] == 200
    start, _ = await ask(side, scope_of(root_path="/api"))
    assert start["status"] == 404


async def test_what_was_refused_is_not_learned(side: Side) -> None:
    """Each wrong request is judged again."""
    known = len(side.hits._table)
    for scope in (
        scope_of(query_string=b"limit=0"),
        scope_of(path="/api/v1/nothing"),
        scope_of(method="POST", query_string=b"limit=4"),
        scope_of(headers=[], query_string=b"limit=5"),
    ):
        for _ in range(2):
            start, _ = await ask(side, scope)
            assert start["status"] in {401, 404, 405, 422}
    assert len(side.hits._table) == known


@pytest.mark.parametrize(
    ("traced", "flags", "fast"), [(True, b"01", False), (True, b"00", True), (True, b"", True), (False, b"01", True)]
)
async def test_only_a_sampled_trace_makes_a_hit_go_the_long_way(
    side: Side, traced: bool, flags: bytes, fast: bool
) -> None:
    """And only in a process that traces: elsewhere nothing is made of it."""
    of_side = side.hits
    hits = (
        of_side
        if not traced
        else Hits(
            keys=of_side._keys,
            coherence=side.coherence,
            metrics=of_side._metrics,
            accepted=of_side._accepted,
            traced=True,
        )
    )
    side.hits = hits
    side.teach()
    context = [(b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-" + flags)] if flags else []
    found = hits.read(TARGET.encode(), "GET", [(b"x-api-key", ANALYST_KEY.encode()), *context])
    assert (found is not None) is fast
