"""Errors, over HTTP: their form, and which comes first."""

from collections.abc import AsyncIterator

import httpx2
import psycopg
import pytest
from psycopg import sql
from structlog.testing import capture_logs

from service.queries import ANOMALIES_TABLE
from tests.support.api import ADMIN_KEY, ANOMALIES, Api, metric

MEMBERS = {"type", "title", "status", "detail"}


def assert_problem(response: httpx2.Response, status: int) -> None:
    """Check the form of an error."""
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["cache-control"] == "no-store"
    document = response.json()
    assert set(document) >= MEMBERS
    assert document["status"] == status
    assert document["type"].startswith("urn:anomaly-cache:problem:")


async def test_an_unknown_path_is_a_404(analyst: httpx2.AsyncClient) -> None:
    """And nothing is redirected."""
    for path in ("/", "/nothing", "/api", "/api/", "/api/v1", "/api/v2/anomalies", f"{ANOMALIES}/", f"{ANOMALIES}/a/b"):
        assert_problem(await analyst.get(path), 404)
    for path in ("/livez/", "/api/v1/transactions", "/api/v1/transactions/", "/api/v1/transactions/a/b", "/docs/x"):
        assert_problem(await analyst.get(path), 404)


async def test_another_method_is_a_405_that_says_which(analyst: httpx2.AsyncClient) -> None:
    """All of them, in one `Allow`."""
    for method, path, allowed in (
        ("POST", ANOMALIES, "GET, HEAD, OPTIONS"),
        ("DELETE", ANOMALIES, "GET, HEAD, OPTIONS"),
        ("PATCH", f"{ANOMALIES}/a-0001", "GET, HEAD, OPTIONS, PUT"),
        ("DELETE", f"{ANOMALIES}/a-0001", "GET, HEAD, OPTIONS, PUT"),
        ("PUT", "/api/v1/transactions/acc-1", "GET, HEAD, OPTIONS"),
        ("GET", "/api/v1/cache/invalidate", "OPTIONS, POST"),
        ("POST", "/api/v1/cache/stats", "GET, HEAD, OPTIONS"),
        ("POST", "/livez", "GET, HEAD, OPTIONS"),
        ("BREW", "/metrics", "GET, HEAD, OPTIONS"),
    ):
        response = await analyst.request(method, path)
        assert_problem(response, 405)
        assert response.headers["allow"] == allowed


async def test_options_tells_the_methods(api: Api, analyst: httpx2.AsyncClient) -> None:
    """To those who have a key; nobody needs one for what is open to all."""
    for path, allowed in ((ANOMALIES, "GET, HEAD, OPTIONS"), ("/api/v1/cache/invalidate", "OPTIONS, POST")):
        response = await analyst.options(path)
        assert (response.status_code, response.headers["allow"], response.content) == (204, allowed, b"")
        assert "content-length" not in response.headers
    async with api.client(None) as stranger:
        assert (await stranger.options(ANOMALIES)).status_code == 401
        assert (await stranger.options("/livez")).headers["allow"] == "GET, HEAD, OPTIONS"
    assert_problem(await analyst.options("/nothing"), 404)


@pytest.mark.parametrize("key", [None, "", "wrong-key-0123456789", ADMIN_KEY + "x"])
async def test_a_stranger_learns_nothing(api: Api, key: str | None) -> None:
    """The key is asked for before anything is looked at: parameters, methods and paths included."""
    async with api.client(key) as stranger:
        for method, path in (
            ("GET", ANOMALIES),
            ("GET", f"{ANOMALIES}?limit=0"),
            ("PUT", f"{ANOMALIES}/a-0001"),
            ("POST", ANOMALIES),
            ("GET", "/api/v1/nothing"),
            ("GET", "/api/v1/cache/stats"),
            ("POST", "/api/v1/cache/invalidate"),
        ):
            response = await stranger.request(method, path)
            assert_problem(response, 401)
            assert response.headers["www-authenticate"].startswith("ApiKey ")


async def test_two_keys_are_none(api: Api) -> None:
    """It would not be clear which one counts."""
    async with api.client(None) as client:
        response = await client.get(ANOMALIES, headers=[("X-API-Key", ADMIN_KEY), ("X-API-Key", ADMIN_KEY)])
    assert_problem(response, 401)


async def test_a_bad_parameter_is_named(analyst: httpx2.AsyncClient) -> None:
    """In `field`, and in the detail."""
    for query, field in (
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=1&limit=2", "limit"),
        ("offset=-1", "offset"),
        ("min_score=NaN", "min_score"),
        ("status=", "status"),
        ("account_id=%00", "account_id"),
        ("colour=red", "colour"),
    ):
        response = await analyst.get(f"{ANOMALIES}?{query}")
        assert_problem(response, 422)
        assert response.json()["field"] == field
        assert field in response.json()["detail"]


async def test_a_bad_id_is_named(analyst: httpx2.AsyncClient) -> None:
    """Postgres has no NUL in texts, and an endless id is none."""
    for path, field in (
        (f"{ANOMALIES}/a%00b", "transaction_id"),
        (f"{ANOMALIES}/{'x' * 257}", "transaction_id"),
        ("/api/v1/transactions/a%00b", "account_id"),
    ):
        response = await analyst.get(path)
        assert_problem(response, 422)
        assert response.json()["field"] == field


async def test_an_endless_url_is_a_414(analyst: httpx2.AsyncClient) -> None:
    """Before it is parsed."""
    assert_problem(await analyst.get(f"{ANOMALIES}?account_id={'x' * 5000}"), 414)


async def test_a_body_without_a_length_is_bounded_too(analyst: httpx2.AsyncClient) -> None:
    """Chunk by chunk."""

    async def endless() -> AsyncIterator[bytes]:
        yield b'{"new_status": "'
        for _ in range(100):
            yield b"x" * 1024

    headers = {"content-type": "application/json"}
    response = await analyst.put(f"{ANOMALIES}/a-0001", content=endless(), headers=headers)
    assert_problem(response, 413)


async def test_a_fault_of_ours_is_a_500_that_tells_nothing(api: Api, analyst: httpx2.AsyncClient) -> None:
    """The log has it; the client has not."""
    others = sql.SQL(", ").join(sql.Identifier(name) for name in ANOMALIES_TABLE.columns if name != "amount")
    view = sql.SQL("CREATE VIEW anomalies AS SELECT {}, reason::int AS amount FROM renamed").format(others)
    async with await psycopg.AsyncConnection.connect(
        api.settings.database_url.get_secret_value(), autocommit=True
    ) as connection:
        await connection.execute("ALTER TABLE anomalies RENAME TO renamed")
        await connection.execute(view)
        await connection.execute("UPDATE renamed SET reason = 'secret'")
    with capture_logs() as lines:
        response = await analyst.get(ANOMALIES, params={"limit": 11})
    assert_problem(response, 500)
    assert "secret" not in response.text
    (line,) = (line for line in lines if line["event"] == "request failed")
    assert (line["method"], line["route"]) == ("GET", ANOMALIES)


async def test_errors_are_counted(analyst: httpx2.AsyncClient) -> None:
    """By route template where there is one; what is at no route is one label."""
    await analyst.get(f"{ANOMALIES}/nothing")
    await analyst.get("/nothing")
    await analyst.get("/nothing/else")
    await analyst.request("BREW", ANOMALIES)
    text = (await analyst.get("/metrics")).text
    template = f"{ANOMALIES}/{{transaction_id}}"
    assert metric(text, f'http_requests_total{{method="GET",route="{template}",status="404"}}') == 1
    assert metric(text, 'http_requests_total{method="GET",route="unmatched",status="404"}') == 2
    assert metric(text, f'http_requests_total{{method="other",route="{ANOMALIES}",status="405"}}') == 1
