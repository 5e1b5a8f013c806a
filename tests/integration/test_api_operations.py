"""Health, statistics, metrics, and what happens when a background task dies."""

import asyncio

import httpx2
import psycopg
from redis.asyncio import Redis

from tests.support.api import ANOMALIES, Api, metric, running, settings_for
from tests.support.waiting import eventually


async def test_health_and_metrics_need_no_key(api: Api) -> None:
    """Orchestrators and Prometheus have none."""
    async with api.client(None) as stranger:
        for path in ("/livez", "/readyz", "/metrics"):
            assert (await stranger.get(path)).status_code == 200


async def test_ready_says_what_was_looked_at(analyst: httpx2.AsyncClient) -> None:
    """Every part by name."""
    response = await analyst.get("/readyz")
    checks = {"postgres": "ok", "redis": "ok", "cache": "on", "warming": "done", "tasks": "ok"}
    assert response.json() == {"status": "ready", "checks": checks}


async def test_warming_without_a_lease_does_not_hold_up_readiness(
    filled_url: str, redis_url: str, cache_prefix: str
) -> None:
    """Where no listener runs the API serves without the cache, and says so."""
    settings = settings_for(filled_url, redis_url, cache_prefix, cache_max_staleness_seconds=0.5)
    async with running(settings) as api, api.client() as client:

        async def degraded() -> bool:
            response = await client.get("/readyz")
            return response.status_code == 200 and bool(response.json()["checks"]["cache"] == "off")

        await eventually(degraded)


async def test_warming_times_out(filled_url: str, redis_url: str, cache_prefix: str) -> None:
    """It is bounded, whatever it waits for."""
    settings = settings_for(filled_url, redis_url, cache_prefix, warm_timeout_seconds=0.2)
    async with running(settings) as api, api.client() as client:

        async def told() -> bool:
            return bool((await client.get("/readyz")).json()["checks"]["warming"] == "timed out")

        await eventually(told)


async def test_a_dead_background_task_makes_the_process_unready(
    filled_url: str, redis_url: str, cache_prefix: str
) -> None:
    """And it is told to end."""
    async with running(settings_for(filled_url, redis_url, cache_prefix)) as api, api.client() as client:
        (task,) = (task for task in asyncio.all_tasks() if task.get_name() == "coherence")
        task.cancel()

        async def unready() -> bool:
            response = await client.get("/readyz")
            return response.status_code == 503 and bool(response.json()["checks"]["tasks"] == "coherence died")

        await eventually(unready)
        assert api.failures == 1


async def test_the_statistics_are_redis_and_ours(analyst: httpx2.AsyncClient, redis_url: str) -> None:
    """The seven fields of old, and beside them L1, view and lease."""
    await analyst.get(ANOMALIES)
    await analyst.get(ANOMALIES)
    stats = (await analyst.get("/api/v1/cache/stats")).json()
    async with Redis.from_url(redis_url) as redis:
        info = await redis.info("stats")
        assert stats["keys_count"] == await redis.dbsize()
    assert stats["available"] is True
    assert 0 < stats["total_commands"] <= info["total_commands_processed"]
    assert 0 < stats["total_connections"] <= info["total_connections_received"]
    seen = stats["keyspace_hits"] + stats["keyspace_misses"]
    assert stats["hit_rate"] == round(100 * stats["keyspace_hits"] / seen, 2)
    assert stats["l1"]["entries"] >= 1
    assert 0 < stats["l1"]["bytes"] <= stats["l1"]["max_bytes"] == 64 * 1024 * 1024
    assert stats["view"]["valid"] is True
    assert 0 < stats["lease"]["seconds_left"] <= stats["lease"]["max_staleness_seconds"] == 2.0


async def test_the_metrics_follow_what_happens(analyst: httpx2.AsyncClient) -> None:
    """A miss and two hits, an invalidation, and the state of the view."""
    before = (await analyst.get("/metrics")).text
    for _ in range(3):
        await analyst.get(ANOMALIES, params={"limit": 8})
    await analyst.put(f"{ANOMALIES}/a-0001", json={"new_status": "DISMISSED"})
    after = (await analyst.get("/metrics")).text
    grown = {
        'cache_hits_total{cache_key_type="anomalies"}': 2,
        'cache_layer_hits_total{cache_key_type="anomalies",layer="l1"}': 2,
        'cache_misses_total{cache_key_type="anomalies"}': 1,
        'cache_operation_duration_seconds_count{operation="get"}': 1,
        'cache_operation_duration_seconds_count{operation="publish"}': 1,
        'cache_invalidations_total{cause="put",namespace="anomalies"}': 1,
        'cache_load_duration_seconds_count{cache_key_type="anomalies"}': 1,
        f'http_requests_total{{method="GET",route="{ANOMALIES}",status="200"}}': 3,
        f'http_request_duration_seconds_count{{method="GET",route="{ANOMALIES}"}}': 3,
        'http_requests_total{method="GET",route="/metrics",status="200"}': 1,
    }
    for sample, amount in grown.items():
        assert metric(after, sample) - metric(before, sample) == amount, sample
    assert metric(after, "cache_view_valid") == 1
    assert metric(after, "cache_database_up") == 1
    assert metric(after, "cache_redis_up") == 1
    assert metric(after, "cache_generation") > 1e15
    assert 0 < metric(after, "cache_lease_seconds_left") <= 2.0
    assert metric(after, "cache_l1_entries") >= 1
    assert metric(after, "cache_l1_bytes") > 1000
    for operation in ("get", "set", "decode", "publish"):
        assert f'cache_errors_total{{operation="{operation}"}} 0.0' in after


async def test_missing_tables_show_in_the_metrics(filled_url: str, redis_url: str, cache_prefix: str) -> None:
    """What /readyz says is what Prometheus sees: Postgres answers, and the process is not ready all the same."""
    async with running(settings_for(filled_url, redis_url, cache_prefix)) as api, api.client() as client:

        async def ready_is(value: float) -> bool:
            text = (await client.get("/metrics")).text
            return metric(text, "api_ready") == value and metric(text, "cache_database_up") == 1

        await eventually(lambda: ready_is(1.0), within=20)
        async with await psycopg.AsyncConnection.connect(filled_url, autocommit=True) as connection:
            await connection.execute("ALTER TABLE transactions RENAME TO elsewhere")
            await eventually(lambda: ready_is(0.0), within=20)
            await connection.execute("ALTER TABLE elsewhere RENAME TO transactions")
            await eventually(lambda: ready_is(1.0), within=20)
