"""What the API answers where nothing proves its cache fresh: by default, and as an operator may choose."""

from collections.abc import Callable
from contextlib import AsyncExitStack

import httpx2

from anomaly_cache.migrate import migrate
from tests.support.api import ADMIN_KEY, ANOMALIES, fill, metric, running, settings_for, status_of
from tests.support.lease import leased
from tests.support.own_servers import OwnPostgres
from tests.support.waiting import eventually


async def samples(client: httpx2.AsyncClient) -> str:
    """Return the metrics."""
    return (await client.get("/metrics")).text


async def view_is(client: httpx2.AsyncClient, value: float) -> None:
    """Wait until the view is valid, or not."""

    async def so() -> bool:
        return metric(await samples(client), "cache_view_valid") == value

    await eventually(so, within=20)


async def kept(client: httpx2.AsyncClient) -> None:
    """Ask until the answer comes from the process' memory."""

    async def hit() -> bool:
        return status_of(await client.get(ANOMALIES)) == "hit; detail=l1"

    await eventually(hit, within=20)


async def test_by_default_a_lost_lease_is_a_bypass(filled_url: str, redis_url: str, cache_prefix: str) -> None:
    """Answers are Postgres' own then, so that the bound on their age falls to nothing; it never passes the promise."""
    settings = settings_for(filled_url, redis_url, cache_prefix)
    async with AsyncExitStack() as lease, running(settings) as api, api.client() as client:
        await lease.enter_async_context(leased(settings))
        await kept(client)

        async def within_the_promise() -> bool:
            text = await samples(client)
            assert metric(text, "cache_staleness_bound_seconds") < metric(text, "cache_max_staleness_seconds") == 2.0
            return metric(text, "cache_staleness_bound_seconds") > 0

        await eventually(within_the_promise, within=20)
        await lease.aclose()
        await view_is(client, 0)
        assert status_of(await client.get(ANOMALIES)) == "fwd=bypass; detail=no-lease"
        assert metric(await samples(client), "cache_staleness_bound_seconds") == 0


async def test_with_ttl_a_lost_lease_leaves_the_ttl(filled_url: str, redis_url: str, cache_prefix: str) -> None:
    """What is kept is served, and marked; what is loaded is kept; the metric says that the promise does not hold."""
    settings = settings_for(
        filled_url, redis_url, cache_prefix, cache_on_lease_loss="ttl", cache_fresh_reads="everyone"
    )
    async with AsyncExitStack() as lease, running(settings) as api, api.client() as client:
        await lease.enter_async_context(leased(settings))
        await kept(client)
        await lease.aclose()
        await view_is(client, 0)
        response = await client.get(ANOMALIES)
        assert status_of(response) == "hit; detail=l1-no-lease"
        assert int(response.headers["age"]) >= 0
        assert status_of(await client.get(f"{ANOMALIES}?limit=7")) == "fwd=uri-miss; stored; detail=db"
        assert status_of(await client.get(f"{ANOMALIES}?limit=7")) == "hit; detail=l1-no-lease"
        fresh = await client.get(ANOMALIES, headers={"Cache-Control": "no-cache"})
        assert status_of(fresh) == "fwd=bypass; detail=request"
        assert (await client.get("/readyz")).json()["status"] == "degraded"

        async def past_the_promise() -> bool:
            text = await samples(client)
            return metric(text, "cache_staleness_bound_seconds") > metric(text, "cache_max_staleness_seconds")

        await eventually(past_the_promise, within=20)
        unproven = 'cache_unproven_answers_total{cache_key_type="anomalies",policy="ttl"}'
        assert metric(await samples(client), unproven) == 2


async def test_with_stale_if_error_a_lost_postgres_leaves_what_is_kept(
    own_postgres: Callable[..., OwnPostgres], redis_url: str, cache_prefix: str
) -> None:
    """From L1 or Redis, marked by a negative TTL, for those who bear it; the process asks for requests meanwhile."""
    postgres = own_postgres()
    await migrate(postgres.url)
    await fill(postgres.url)
    settings = settings_for(
        postgres.url, redis_url, cache_prefix, cache_stale_if_error_seconds=600, warm_queries="none"
    )
    async with (
        AsyncExitStack() as lease,
        running(settings) as api,
        running(settings) as neighbour,
        api.client() as client,
        neighbour.client() as other,
        api.client(ADMIN_KEY) as admin,
    ):
        await lease.enter_async_context(leased(settings))
        for each in (client, other):
            await view_is(each, 1)
        await kept(client)
        body = (await client.get(ANOMALIES)).content
        await lease.aclose()
        postgres.stop()
        for each in (client, other):
            await view_is(each, 0)

        for each, layer in ((client, "l1"), (other, "l2")):
            response = await each.get(ANOMALIES)
            assert (response.status_code, response.content) == (200, body)
            assert response.headers["cache-status"].startswith("anomaly-cache; hit; ttl=-")
            assert response.headers["cache-status"].endswith(f"; detail={layer}-stale-if-error")
        etag = response.headers["etag"]
        assert (await client.get(ANOMALIES, headers={"If-None-Match": etag})).status_code == 304
        for unwilling in ("no-cache", "stale-if-error=0", "max-stale, stale-if-error=1"):
            assert (await client.get(ANOMALIES, headers={"Cache-Control": unwilling})).status_code == 503
        willing = {"Cache-Control": "stale-if-error=500"}
        assert (await client.get(ANOMALIES, headers=willing)).status_code == 200
        assert (await admin.get(ANOMALIES)).status_code == 503
        assert (await client.get(f"{ANOMALIES}?limit=9")).status_code == 503
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
        assert ready.json()["checks"]["postgres"] == "postgres missing"
        text = await samples(client)
        assert metric(text, 'cache_unproven_answers_total{cache_key_type="anomalies",policy="stale-if-error"}') == 3
        assert metric(text, "cache_staleness_bound_seconds") > 0
        assert metric(text, "cache_database_up") == 0

        postgres.start()

        async def fresh() -> bool:
            return status_of(await client.get(ANOMALIES)) == "fwd=bypass; detail=no-lease"

        await eventually(fresh, within=20)
        assert metric(await samples(client), "cache_staleness_bound_seconds") == 0
