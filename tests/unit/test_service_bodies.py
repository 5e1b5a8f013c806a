"""Bodies of requests."""

import asyncio
from collections.abc import Iterable

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message

from service.bodies import BODY_LIMIT, read_json
from service.problems import Problem
from service.routes.changes import NewStatus

JSON = b"application/json"


async def read(*chunks: bytes, content_type: Iterable[bytes] = (JSON,), length: bytes | None = None) -> NewStatus:
    """Read a body that comes in chunks."""
    messages: list[Message] = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages.append({"type": "http.request", "body": b""})
    headers = [(b"content-type", value) for value in content_type]
    if length is not None:
        headers.append((b"content-length", length))

    async def receive() -> Message:
        return messages.pop(0)

    return await read_json({"type": "http", "headers": headers}, receive, NewStatus)


async def refused(*chunks: bytes, content_type: Iterable[bytes] = (JSON,), length: bytes | None = None) -> Problem:
    """Return the problem with such a body."""
    with pytest.raises(Problem) as refusal:
        await read(*chunks, content_type=content_type, length=length)
    return refusal.value


@pytest.mark.parametrize(
    "content_type", [JSON, b"Application/JSON", b"application/json; charset=utf-8", b'application/json;charset="UTF-8"']
)
async def test_json_is_read(content_type: bytes) -> None:
    """In as many chunks as it comes."""
    body = await read(b'{"new_', b'status":', b' "CONFIRMED"}', content_type=[content_type])
    assert body.new_status == "CONFIRMED"


@pytest.mark.parametrize(
    "content_types",
    [[], [b"text/plain"], [b"application/json; charset=latin-1"], [b"application/jsonp"], [b""], [JSON, JSON]],
)
async def test_another_content_type_is_a_415(content_types: list[bytes]) -> None:
    """The answer says which one is taken."""
    problem = await refused(b'{"new_status": "NEW"}', content_type=content_types)
    assert problem.status == 415
    assert (b"accept", JSON) in problem.headers


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nonsense",
        b'{"new_status": NaN}',
        b"\xff\xfe",
        b'{"new_status": "NEW"} more',
        b"[" * 50_000,
        "{}".encode("utf-16"),
    ],
)
async def test_what_is_no_json_is_a_400(body: bytes) -> None:
    """Nesting without end, NaN and other encodings included."""
    assert (await refused(body)).status == 400


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"[]", "body"),
        (b'"NEW"', "body"),
        (b"null", "body"),
        (b"{}", "new_status"),
        (b'{"new_status": null}', "new_status"),
        (b'{"new_status": 1}', "new_status"),
        (b'{"new_status": ["NEW"]}', "new_status"),
        (b'{"new_status": "new"}', "new_status"),
        (b'{"new_status": ""}', "new_status"),
        (b'{"new_status": "NEW", "more": 1}', "more"),
        (b'{"new_status": "NEW", "new_status": "NEW"}', "new_status"),
        (b'{"\\ud800": 1, "new_status": "NEW"}', ""),
    ],
)
async def test_what_is_not_meant_is_a_422(body: bytes, field: str) -> None:
    """It names the member."""
    problem = await refused(body)
    assert problem.status == 422
    assert problem.faults[0].field == field
    assert problem.as_json()


async def test_a_large_body_is_a_413() -> None:
    """Whether it says so beforehand, lies, or says nothing; what it holds does not matter, and no more is read."""
    assert (await refused(length=b"65537")).status == 413
    assert (await refused(length=b"9" * 100)).status == 413
    assert (await refused(b"x" * BODY_LIMIT, b"x", b"never read")).status == 413
    assert (await refused(b"x" * (BODY_LIMIT + 1), length=b"3")).status == 413
    body = b'{"new_status": "NEW"}'
    assert (await read(body + b" " * (BODY_LIMIT - len(body)))).new_status == "NEW"


async def test_a_client_that_goes_is_let_go() -> None:
    """There is nobody to answer."""

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    with pytest.raises(ClientDisconnect):
        await read_json({"type": "http", "headers": [(b"content-type", JSON)]}, receive, NewStatus)


async def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """408, and the connection is not used again."""
    monkeypatch.setattr("service.bodies.BODY_SECONDS", 0.01)

    async def receive() -> Message:
        await asyncio.sleep(0.003)
        return {"type": "http.request", "body": b" ", "more_body": True}

    with pytest.raises(Problem) as refusal:
        await read_json({"type": "http", "headers": [(b"content-type", JSON)]}, receive, NewStatus)
    assert refusal.value.status == 408
    assert (b"connection", b"close") in refusal.value.headers
