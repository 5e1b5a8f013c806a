"""A PUT says itself which row it changed, before the listener does: no less certainly, whatever came in between."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import httpx2
import psycopg
import pytest

from tests.support.api import ANOMALIES, caching, settings_for, status_of
from tests.support.postgres import one
from tests.support.proxy import Proxy
from tests.support.waiting import eventually

PATH = f"{ANOMALIES}/a-0014"
STATUS = "SELECT status FROM anomalies WHERE transaction_id = 'a-0014'"
CONFIRM = {"new_status": "CONFIRMED"}


@pytest.fixture
async def writer(filled_url: str) -> AsyncIterator[psycopg.AsyncConnection]:
    """A session beside the API's."""
    async with await psycopg.AsyncConnection.connect(filled_url) as connection:
        yield connection


@asynccontextmanager
async def settled(database_url: str, redis_url: str, prefix: str) -> AsyncIterator[httpx2.AsyncClient]:
    """Run the API on rows that nobody has changed for longer than a cache may lag; yield a client."""
    settings = settings_for(database_url, redis_url, prefix, warm_queries="none", cache_max_staleness_seconds=1.0)
    async with caching(settings) as api, api.client() as client:
        rows = iter(range(30))
        elsewhere = f"{ANOMALIES}?account_id=nobody&offset=1"

        async def spares() -> bool:
            await client.get(elsewhere)
            await client.put(f"{ANOMALIES}/a-{next(rows):04}", json={"new_status": "INVESTIGATED"})
            return status_of(await client.get(elsewhere)).startswith("hit")

        await eventually(spares, within=10.0, every=0.5)
        yield client


async def test_scores_are_told_in_full(
    filled_url: str, writer: psycopg.AsyncConnection, redis_url: str, cache_prefix: str
) -> None:
    """Also where the database's settings have numbers written with fewer digits."""
    name = urlsplit(filled_url).path.removeprefix("/")
    await writer.execute(f"ALTER DATABASE {name} SET extra_float_digits = -15".encode())
    await writer.execute("UPDATE anomalies SET score = 0.94 WHERE transaction_id = 'a-0029'")
    await writer.commit()
    async with settled(filled_url, redis_url, cache_prefix) as client:
        page = f"{ANOMALIES}?min_score=0.93"
        assert b'"score":0.94,' in (await client.get(page)).content
        changed = await client.put(f"{ANOMALIES}/a-0029", json=CONFIRM)
        assert changed.content in (await client.get(page)).content


async def test_a_change_that_was_made_twice_is_told_whole(
    filled_url: str, writer: psycopg.AsyncConnection, redis_url: str, cache_prefix: str
) -> None:
    """Where the connection breaks after the commit, the second try finds the new status; the old one counts too."""
    await writer.set_autocommit(True)
    async with Proxy(filled_url) as proxy, settled(proxy.url, redis_url, cache_prefix) as client:
        page = f"{ANOMALIES}?status={await one(writer, STATUS)}"
        assert b"a-0014" in (await client.get(page)).content
        proxy.hold_answers(larger_than=200)
        change = asyncio.create_task(client.put(PATH, json=CONFIRM))

        async def committed() -> bool:
            return bool(proxy.held and await one(writer, STATUS) == "CONFIRMED")

        await eventually(committed)
        proxy.reset()
        proxy.resume()
        assert (await change).status_code == 200
        assert b"a-0014" not in (await client.get(page)).content


async def test_another_change_that_is_on_its_way_is_told_too(
    filled_url: str, writer: psycopg.AsyncConnection, redis_url: str, cache_prefix: str
) -> None:
    """A PUT that follows another writer's change of the row, not yet announced, shows on pages as they were before."""
    async with (
        settled(filled_url, redis_url, cache_prefix) as client,
        await psycopg.AsyncConnection.connect(filled_url, autocommit=True) as observer,
    ):
        page = f"{ANOMALIES}?status={await one(writer, STATUS)}"
        await writer.execute("UPDATE anomalies SET status = 'DISMISSED' WHERE transaction_id = 'a-0014'")
        assert b"a-0014" in (await client.get(page)).content
        change = asyncio.create_task(client.put(PATH, json=CONFIRM))
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )

        async def waits() -> bool:
            return bool(await one(observer, waiting))

        await eventually(waits)
        await writer.commit()
        assert (await change).status_code == 200
        assert b"a-0014" not in (await client.get(page)).content
