"""Redis absent, stopped, hung: the API answers from Postgres, at Postgres' speed, and caches again by itself."""

import time
from collections.abc import AsyncIterator, Callable

import httpx2
import pytest

from tests.support.api import ADMIN_KEY, ANOMALIES, Api, caching, leased_api, metric, settings_for, status_of
from tests.support.own_servers import OwnValkey
from tests.support.waiting import eventually

PATH = f"{ANOMALIES}/a-0001"
REDIS_TIMEOUT_SECONDS = 0.25


@pytest.fixture
def valkey(own_redis: Callable[..., OwnValkey]) -> OwnValkey:
    """A Valkey to break."""
    return own_redis()


@pytest.fixture
async def api(filled_url: str, valkey: OwnValkey) -> AsyncIterator[Api]:
    """The API on it."""
    async with caching(settings_for(filled_url, valkey.url, warm_queries="none")) as api:
        yield api


async def hits(client: httpx2.AsyncClient) -> None:
    """Wait until answers come from the cache."""

    async def hit() -> bool:
        return status_of(await client.get(ANOMALIES)).startswith("hit")

    await eventually(hit)


async def bypasses(client: httpx2.AsyncClient) -> None:
    """Wait until no answer comes from the cache."""

    async def bypass() -> bool:
        return status_of(await client.get(ANOMALIES)) == "fwd=bypass; detail=no-lease"

    await eventually(bypass)


@pytest.mark.parametrize("fault", ["stop", "pause"])
async def test_without_redis_answers_come_from_postgres(
    valkey: OwnValkey, analyst: httpx2.AsyncClient, fault: str
) -> None:
    """Each of them promptly, every one right, and the cache is back soon after Redis."""
    await hits(analyst)
    (valkey.stop if fault == "stop" else valkey.pause)()
    slowest = 0.0
    for offset in range(100):
        started = time.monotonic()
        response = await analyst.get(ANOMALIES, params={"offset": offset % 30})
        slowest = max(slowest, time.monotonic() - started)
        assert response.status_code == 200
    assert slowest < 2  # a request or so meets the first time-out
    await bypasses(analyst)
    started = time.monotonic()
    for offset in range(50):
        await analyst.get(ANOMALIES, params={"offset": offset % 30})
    assert time.monotonic() - started < 50 * REDIS_TIMEOUT_SECONDS
    report = await analyst.get("/readyz")
    assert (report.status_code, report.json()["status"]) == (200, "degraded")
    assert report.json()["checks"]["redis"] == "missing"
    (valkey.start if fault == "stop" else valkey.resume)()
    await hits(analyst)


async def test_a_start_without_redis(filled_url: str, valkey: OwnValkey) -> None:
    """Degraded, ready within the bound on staleness, and caching when Redis comes."""
    valkey.stop()
    async with leased_api(settings_for(filled_url, valkey.url)) as api, api.client() as client:
        assert (await client.get(ANOMALIES)).status_code == 200

        async def degraded() -> bool:
            response = await client.get("/readyz")
            return response.status_code == 200 and bool(response.json()["status"] == "degraded")

        await eventually(degraded)
        valkey.start()
        await hits(client)


@pytest.mark.parametrize("fault", ["stop", "pause"])
async def test_a_put_without_redis_succeeds(valkey: OwnValkey, analyst: httpx2.AsyncClient, fault: str) -> None:
    """At most half a second later; this process shows no older answer, then and after Redis' return."""
    await hits(analyst)
    await analyst.get(PATH)
    (valkey.stop if fault == "stop" else valkey.pause)()
    started = time.monotonic()
    response = await analyst.put(PATH, json={"new_status": "DISMISSED"})
    assert time.monotonic() - started < 2
    assert response.status_code == 200
    assert "cache-generation" not in response.headers
    assert (await analyst.get(PATH)).json()["status"] == "DISMISSED"
    (valkey.start if fault == "stop" else valkey.resume)()

    seen = []

    async def hit() -> bool:
        again = await analyst.get(PATH)
        seen.append(again.json()["status"])
        return status_of(again).startswith("hit")

    await eventually(hit)
    assert set(seen) == {"DISMISSED"}


async def test_the_statistics_say_that_redis_is_not_there(valkey: OwnValkey, analyst: httpx2.AsyncClient) -> None:
    """All zeros, promptly; our own part is told all the same."""
    await hits(analyst)
    for fault in (valkey.pause, valkey.stop):
        fault()
        started = time.monotonic()
        stats = (await analyst.get("/api/v1/cache/stats")).json()
        assert time.monotonic() - started < 2
        assert stats["available"] is False
        for name in ("total_connections", "total_commands", "keyspace_hits", "keyspace_misses", "keys_count"):
            assert stats[name] == 0
        assert stats["hit_rate"] == 0.0
        assert stats["l1"]["entries"] >= 1


async def test_an_invalidation_without_redis_says_that_it_failed(valkey: OwnValkey, api: Api) -> None:
    """It cannot reach the others."""
    valkey.stop()
    async with api.client(ADMIN_KEY) as admin:
        response = await admin.post("/api/v1/cache/invalidate", json={"namespace": "anomalies"})
    assert response.status_code == 503
    assert response.headers["retry-after"] == "1"


async def test_errors_of_redis_are_counted(valkey: OwnValkey, analyst: httpx2.AsyncClient) -> None:
    """For the alerts."""
    await hits(analyst)
    valkey.stop()
    await analyst.put(PATH, json={"new_status": "DISMISSED"})
    await bypasses(analyst)
    text = (await analyst.get("/metrics")).text
    assert metric(text, 'cache_errors_total{operation="publish"}') >= 1
    assert metric(text, 'cache_bypasses_total{cache_key_type="anomalies",reason="no-lease"}') >= 1
    assert metric(text, "cache_view_valid") == 0
    assert metric(text, "cache_redis_up") == 0
