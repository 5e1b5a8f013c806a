"""What browsers get that is the same for everybody."""

import gzip
from typing import Any

import httpx2
import pytest
from starlette.types import Receive, Scope, Send

from service.assets import Asset
from service.problems import Problem

PAGE = b"<!doctype html><title>page</title>" * 100


class Made:
    """Makes PAGE, and counts how often."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> bytes:
        """Make it."""
        self.times += 1
        return PAGE


@pytest.fixture
def made() -> Made:
    """What the asset is made by."""
    return Made()


@pytest.fixture
def client(made: Made) -> httpx2.AsyncClient:
    """A client of one asset; errors are raised."""
    asset = Asset(made, "text/html; charset=utf-8")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await asset(scope, receive, send)

    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://api")


async def ask(client: httpx2.AsyncClient, encoding: str = "identity", **more: Any) -> httpx2.Response:
    """GET it, with an Accept-Encoding."""
    return await client.get("/", headers={"Accept-Encoding": encoding, **more})


async def test_it_is_made_once_and_revalidated(client: httpx2.AsyncClient, made: Made) -> None:
    """When it is first asked for; a client that has it gets 304, in the form that it takes."""
    assert made.times == 0
    plain, coded = await ask(client), await ask(client, "gzip")
    assert plain.content == coded.content == PAGE
    assert coded.headers["content-encoding"] == "gzip"
    assert int(coded.headers["content-length"]) == len(gzip.compress(PAGE, 6)) < len(PAGE)
    assert plain.headers["etag"] != coded.headers["etag"]
    for response, encoding in ((plain, "identity"), (coded, "gzip")):
        again = await ask(client, encoding, **{"If-None-Match": response.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["content-security-policy"]
    head = await client.head("/")
    assert (head.content, head.headers["content-length"]) == (b"", coded.headers["content-length"])
    assert made.times == 1


async def test_a_page_may_ask_this_server_alone(client: httpx2.AsyncClient) -> None:
    """No script in the page, none from elsewhere, no frame around it, no guessing of types."""
    headers = (await ask(client)).headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert (headers["cache-control"], headers["vary"]) == ("no-cache", "Accept-Encoding")
    assert headers["content-type"] == "text/html; charset=utf-8"


async def test_who_takes_no_form_of_it_is_told(client: httpx2.AsyncClient) -> None:
    """As everywhere."""
    with pytest.raises(Problem) as raised:
        await ask(client, "identity;q=0, br")
    assert raised.value.kind == "not-acceptable"
    assert (await ask(client, "identity;q=0, gzip")).content == PAGE
