"""DATABASE_URL through a transaction pooler, where no session setting or prepared statement can be counted on."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import psycopg
import pytest

from tests.support.api import ANOMALIES, caching, settings_for
from tests.support.pooler import transaction_pooler


@pytest.fixture
async def pooled_url(filled_url: str, server_directory: Path) -> AsyncIterator[str]:
    """The database behind a PgBouncer."""
    async with transaction_pooler(filled_url, server_directory) as url:
        yield url


async def test_every_answer_has_its_one_form(
    pooled_url: str, filled_url: str, redis_url: str, cache_prefix: str
) -> None:
    """Times are in UTC and statements are bounded, though other clients set the servers' sessions to something else."""
    async with await psycopg.AsyncConnection.connect(filled_url, autocommit=True) as connection:
        name = urlsplit(filled_url).path.removeprefix("/")
        await connection.execute(f"ALTER DATABASE {name} SET TimeZone = 'Asia/Tokyo'".encode())
    settings = settings_for(pooled_url, redis_url, cache_prefix, warm_queries="none")
    async with caching(settings) as api, api.client() as client:
        responses = await asyncio.gather(*(client.get(ANOMALIES, params={"limit": 30, "offset": n}) for n in range(60)))
        assert {response.status_code for response in responses} == {200}
        assert b'"detected_at":"2025-01-01T10:29:00+00:00"' in responses[0].content
        for _ in range(20):
            response = await client.put(f"{ANOMALIES}/a-0001", json={"new_status": "CONFIRMED"})
            assert response.content in (await client.get(ANOMALIES, params={"offset": 3})).content
        await _slow_statements_are_ended(client, filled_url)


async def _slow_statements_are_ended(client: httpx2.AsyncClient, url: str) -> None:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        await connection.execute("LOCK TABLE anomalies")
        response = await client.put(f"{ANOMALIES}/a-0001", json={"new_status": "NEW"})
        assert response.status_code == 503
        assert response.json()["type"].endswith("query-timeout")
