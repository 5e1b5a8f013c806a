"""Pages of other origins."""

from collections.abc import AsyncIterator, Mapping

import httpx2
import pytest

from tests.support.api import ANOMALIES, caching, metric, settings_for

PAGE = "https://ui.example.com"
OTHER = "https://other.example.com"


def preflight(origin: str, **asked: str) -> dict[str, str]:
    """Return a preflight's headers."""
    return {"Origin": origin, **{f"Access-Control-Request-{name}": value for name, value in asked.items()}}


def allowed(headers: Mapping[str, str]) -> str | None:
    """Return whose pages may read the response."""
    return headers.get("access-control-allow-origin")


@pytest.fixture
async def stranger(filled_url: str, redis_url: str, cache_prefix: str) -> AsyncIterator[httpx2.AsyncClient]:
    """A client without a key, of an API that one origin may use."""
    settings = settings_for(filled_url, redis_url, cache_prefix, cors_allow_origins=PAGE)
    async with caching(settings) as api, api.client(None) as client:
        yield client


async def test_a_page_of_an_allowed_origin_may_ask(stranger: httpx2.AsyncClient) -> None:
    """With its key and its generation, which take a preflight; that has no key itself. It is counted."""
    asked = preflight(PAGE, Method="PUT", Headers="content-type,x-api-key,cache-generation")
    response = await stranger.options(f"{ANOMALIES}/a-0001", headers=asked)
    assert response.status_code == 200
    assert allowed(response.headers) == PAGE
    assert "PUT" in response.headers["access-control-allow-methods"]
    for refused in (
        preflight(OTHER, Method="GET"),
        preflight(PAGE, Method="DELETE"),
        preflight(PAGE, Method="GET", Headers="x-other"),
    ):
        response = await stranger.options(ANOMALIES, headers=refused)
        assert response.status_code == 400
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["type"].endswith(":preflight-refused")
    counted = (await stranger.get("/metrics")).text
    for status, times in (("200", 1), ("400", 3)):
        sample = f'http_requests_total{{method="OPTIONS",route="preflight",status="{status}"}}'
        assert metric(counted, sample) == times
    assert allowed((await stranger.options(ANOMALIES, headers=preflight(OTHER, Method="GET"))).headers) is None


async def test_it_may_read_the_answers_and_their_headers(stranger: httpx2.AsyncClient) -> None:
    """Hits, 304s and errors alike; pages of other origins may not."""
    headers = {"X-API-Key": "analyst-key-for-tests", "Origin": PAGE}
    await stranger.get(ANOMALIES, headers=headers)
    hit = await stranger.get(ANOMALIES, headers=headers)
    again = await stranger.get(ANOMALIES, headers={**headers, "If-None-Match": hit.headers["etag"]})
    denied = await stranger.get(ANOMALIES, headers={"Origin": PAGE})
    assert [response.status_code for response in (hit, again, denied)] == [200, 304, 401]
    for response in (hit, again, denied):
        assert allowed(response.headers) == PAGE
        assert "Origin" in response.headers["vary"]
        shown = response.headers["access-control-expose-headers"]
        assert {"ETag", "Cache-Status", "Cache-Generation"} <= set(shown.split(", "))
    assert hit.headers["vary"].startswith("Accept-Encoding, X-API-Key")
    other = await stranger.get(ANOMALIES, headers={**headers, "Origin": OTHER})
    assert (other.status_code, allowed(other.headers)) == (200, None)
    plain = await stranger.get(ANOMALIES, headers={"X-API-Key": headers["X-API-Key"]})
    assert not [name for name in plain.headers if name.startswith("access-control")]


async def test_without_the_setting_no_page_may(analyst: httpx2.AsyncClient) -> None:
    """A preflight is an OPTIONS like any other."""
    response = await analyst.get(ANOMALIES, headers={"Origin": PAGE})
    assert allowed(response.headers) is None
    response = await analyst.options(ANOMALIES, headers=preflight(PAGE, Method="GET"))
    assert (response.status_code, allowed(response.headers)) == (204, None)
