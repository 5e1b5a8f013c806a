"""Postgres lost, hung, slow, not set up: what the API answers, how fast, and that it recovers by itself."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import httpx2
import psycopg
import pytest

from anomaly_cache.migrate import migrate
from tests.support.api import ANOMALIES, Api, caching, fill, leased_api, metric, running, settings_for, status_of
from tests.support.own_servers import OwnPostgres
from tests.support.proxy import Proxy
from tests.support.waiting import eventually

PROMISED_SECONDS = 2.0 + 2.0
"""Two, and as many for a machine that is busy with other tests; what is not given up in time hangs for far longer."""


@pytest.fixture
async def postgres(own_postgres: Callable[..., OwnPostgres]) -> OwnPostgres:
    """A Postgres with our tables and 30 rows, to break."""
    postgres = own_postgres()
    await migrate(postgres.url)
    await fill(postgres.url)
    return postgres


@pytest.fixture
async def api(postgres: OwnPostgres, redis_url: str, cache_prefix: str) -> AsyncIterator[Api]:
    """The API on it, without warming, so that no key is cached."""
    async with caching(settings_for(postgres.url, redis_url, cache_prefix, warm_queries="none")) as api:
        yield api


async def refused(
    client: httpx2.AsyncClient, path: str = ANOMALIES, within: float = PROMISED_SECONDS
) -> httpx2.Response:
    """Get a 503 in time."""
    started = time.monotonic()
    response = await client.get(path)
    assert time.monotonic() - started < within
    assert response.status_code == 503, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert int(response.headers["retry-after"]) >= 1
    return response


async def answers(client: httpx2.AsyncClient, within: float = 5.0) -> None:
    """Wait until it answers again."""

    async def fine() -> bool:
        return (await client.get(f"{ANOMALIES}?limit=2")).status_code == 200

    await eventually(fine, within=within)


async def test_a_stopped_postgres_is_a_503_at_once_and_back_by_itself(
    postgres: OwnPostgres, analyst: httpx2.AsyncClient
) -> None:
    """Many connections were in use before, so that many are dead afterwards."""
    await asyncio.gather(*(analyst.get(ANOMALIES, params={"limit": n}) for n in range(1, 30)))
    postgres.stop()
    for _ in range(3):
        await refused(analyst, f"{ANOMALIES}?limit=99", within=PROMISED_SECONDS)

    async def unready() -> bool:
        return (await analyst.get("/readyz")).status_code == 503

    await eventually(unready)
    assert metric((await analyst.get("/metrics")).text, "cache_database_up") == 0
    postgres.start()
    started = time.monotonic()
    await answers(analyst)
    assert time.monotonic() - started < 4

    async def ready() -> bool:
        return (await analyst.get("/readyz")).status_code == 200

    await eventually(ready)


async def test_a_restart_between_two_requests_is_not_noticed(
    postgres: OwnPostgres, analyst: httpx2.AsyncClient
) -> None:
    """Dead connections are found before they are used."""
    await asyncio.gather(*(analyst.get(ANOMALIES, params={"limit": n}) for n in range(1, 30)))
    postgres.stop()
    postgres.start()
    responses = await asyncio.gather(*(analyst.get(ANOMALIES, params={"offset": n}) for n in range(1, 9)))
    assert [response.status_code for response in responses] == [200] * 8


async def test_a_hung_postgres_is_a_503_in_time_for_everybody(
    postgres: OwnPostgres, analyst: httpx2.AsyncClient
) -> None:
    """SIGSTOP: connections stay open and nothing answers. Who waits for a place is told no later than who has one."""
    await asyncio.gather(*(analyst.get(ANOMALIES, params={"limit": n}) for n in range(1, 30)))
    postgres.pause()
    await asyncio.gather(*(refused(analyst, f"{ANOMALIES}?offset={n}") for n in range(1, 60)))
    await refused(analyst, f"{ANOMALIES}?limit=500", within=1.0)
    started = time.monotonic()
    response = await analyst.put(f"{ANOMALIES}/a-0001", json={"new_status": "CONFIRMED"})
    assert response.status_code == 503
    assert time.monotonic() - started < PROMISED_SECONDS
    postgres.resume()
    await answers(analyst)


async def test_a_cached_answer_does_not_need_postgres(postgres: OwnPostgres, analyst: httpx2.AsyncClient) -> None:
    """As long as the lease says that it is good."""
    await analyst.get(ANOMALIES)
    postgres.pause()
    assert status_of(await analyst.get(ANOMALIES)) == "hit; detail=l1"


async def test_a_start_without_postgres(postgres: OwnPostgres, redis_url: str, cache_prefix: str) -> None:
    """The API starts, says that it is not ready, and is when Postgres comes; warming included."""
    postgres.stop()
    settings = settings_for(postgres.url, redis_url, cache_prefix, warm_queries="limit=3")
    async with leased_api(settings) as api, api.client() as client:
        await refused(client, within=PROMISED_SECONDS)
        assert (await client.get("/livez")).status_code == 200
        report = await client.get("/readyz")
        assert (report.status_code, report.json()["checks"]["postgres"]) == (503, "postgres missing")
        postgres.start()
        await answers(client)

        async def warmed() -> bool:
            return bool((await client.get("/readyz")).json()["checks"]["warming"] == "done")

        await eventually(warmed)
        assert status_of(await client.get(f"{ANOMALIES}?limit=3")).startswith("hit")


async def test_a_start_with_a_hung_postgres(postgres: OwnPostgres, redis_url: str, cache_prefix: str) -> None:
    """Connecting takes no longer than it may."""
    postgres.pause()
    async with running(settings_for(postgres.url, redis_url, cache_prefix)) as api, api.client() as client:
        await asyncio.gather(*(refused(client, f"{ANOMALIES}?offset={n}") for n in range(30)))
        postgres.resume()
        await answers(client)


async def test_a_start_before_the_tables_are_there(database_url: str, redis_url: str, cache_prefix: str) -> None:
    """Until they are, the answer is a 503 that says so."""
    async with running(settings_for(database_url, redis_url, cache_prefix)) as api, api.client() as client:

        async def told() -> bool:
            return bool((await refused(client)).json()["type"].endswith("database-not-ready"))

        await eventually(told)
        assert (await client.get("/readyz")).json()["checks"]["postgres"] == "tables missing"
        await migrate(database_url)
        await answers(client)


async def test_one_lost_connection_is_not_noticed(postgres: OwnPostgres, analyst: httpx2.AsyncClient) -> None:
    """pg_terminate_backend of all that there are, again and again."""
    for round_ in range(5):
        async with await psycopg.AsyncConnection.connect(postgres.url, autocommit=True) as connection:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'anomaly-cache-api'"
            )
        response = await analyst.get(ANOMALIES, params={"offset": round_})
        assert response.status_code == 200


async def test_a_query_that_takes_too_long_is_ended(postgres: OwnPostgres, analyst: httpx2.AsyncClient) -> None:
    """A locked table: a 503 in time, Postgres' own doing; the connection and its neighbours live on."""
    await analyst.get(ANOMALIES)
    async with await psycopg.AsyncConnection.connect(postgres.url) as connection:
        await connection.execute("LOCK TABLE anomalies")
        response = await refused(analyst, f"{ANOMALIES}?limit=3")
        assert response.json()["type"].endswith("query-timeout")
        assert (await analyst.get("/api/v1/transactions/acc-1")).status_code == 200
        response = await analyst.put(f"{ANOMALIES}/a-0001", json={"new_status": "CONFIRMED"})
        assert response.status_code == 503
    await answers(analyst)


async def test_loads_leave_room_for_writes_and_health(postgres: OwnPostgres, analyst: httpx2.AsyncClient) -> None:
    """While every place for loads is taken by a slow one, a PUT and /readyz go through."""
    async with await psycopg.AsyncConnection.connect(postgres.url) as connection:
        await connection.execute("LOCK TABLE transactions")
        slow = [asyncio.create_task(analyst.get(f"/api/v1/transactions/acc-{n}")) for n in range(30)]

        await eventually(lambda: _waiting_for_locks(postgres))
        started = time.monotonic()
        response = await analyst.put(f"{ANOMALIES}/a-0001", json={"new_status": "CONFIRMED"})
        assert response.status_code == 200
        assert (await analyst.get("/readyz")).status_code == 200
        assert time.monotonic() - started < 1.5
    assert {response.status_code for response in await asyncio.gather(*slow)} <= {200, 503}


async def _waiting_for_locks(postgres: OwnPostgres) -> bool:
    async with await psycopg.AsyncConnection.connect(postgres.url) as connection:
        cursor = await connection.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        row = await cursor.fetchone()
        return row is not None and row[0] >= 8


async def test_a_network_that_swallows_everything(postgres: OwnPostgres, redis_url: str, cache_prefix: str) -> None:
    """Half-open connections: given up in time, and replaced when the network is back."""
    async with Proxy(postgres.url) as proxy:
        settings = settings_for(proxy.url, redis_url, cache_prefix, warm_queries="none")
        async with caching(settings) as api, api.client() as client:
            await answers(client)
            proxy.stall()
            await asyncio.gather(*(refused(client, f"{ANOMALIES}?offset={n}") for n in range(1, 20)))
            proxy.resume()
            await answers(client)
            proxy.refuse()
            await refused(client, f"{ANOMALIES}?limit=77", within=PROMISED_SECONDS)
            await proxy.accept()
            await answers(client)
