"""With the cache off, and far more asked for than Postgres can answer: what Postgres sees, and what readers get."""

import asyncio
import time
from collections import Counter

import httpx2
import psycopg

from tests.support.api import ANOMALIES, running, settings_for
from tests.support.waiting import eventually

MOST_LOADS = 3
AT_WORK = """
SELECT count(*) FROM pg_stat_activity
 WHERE datname = current_database() AND application_name = 'anomaly-cache-api' AND state = 'active'
   AND query LIKE '%FROM public.anomalies%' AND query_start <= statement_timestamp()
"""
"""Those at work when it began to count: each is looked at a little later than the one before."""


class Watcher:
    """Counts, again and again, the loads that Postgres has at work."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.seen: list[int] = []

    async def watch(self) -> None:
        """Watch until cancelled."""
        async with await psycopg.AsyncConnection.connect(self._url, autocommit=True) as connection:
            while True:
                row = await (await connection.execute(AT_WORK)).fetchone()
                assert row is not None
                self.seen.append(row[0])
                await asyncio.sleep(0.01)


async def crowd(client: httpx2.AsyncClient, size: int) -> Counter[int]:
    """Ask for as many different pages at once; return how often each status came. A 503 says when to come again."""

    async def ask(number: int) -> int:
        response = await client.get(ANOMALIES, params={"offset": number, "limit": 5})
        assert response.status_code == 200 or int(response.headers["retry-after"]) >= 1
        return response.status_code

    return Counter(await asyncio.gather(*(ask(number) for number in range(size))))


async def test_postgres_gets_no_more_loads_at_once_than_it_may(
    filled_url: str, redis_url: str, cache_prefix: str
) -> None:
    """By its own word, without a lease: with a crowd that it can serve, and one that it cannot for a locked table."""
    settings = settings_for(
        filled_url, redis_url, cache_prefix, db_max_concurrent_loads=MOST_LOADS, db_pool_size=10, warm_queries="none"
    )
    watcher = Watcher(filled_url)
    async with running(settings) as api, api.client() as client:
        watching = asyncio.create_task(watcher.watch())
        assert (await crowd(client, 100)).keys() <= {200, 503}
        async with await psycopg.AsyncConnection.connect(filled_url) as connection:
            await connection.execute("LOCK TABLE anomalies")
            started = time.monotonic()
            shed = asyncio.create_task(crowd(client, 200))
            await eventually(lambda: watcher.seen and max(watcher.seen) == MOST_LOADS, within=20)
            assert (await shed) == {503: 200}
            assert time.monotonic() - started < 20, "a place is waited for 2 s, a statement for 1.75 s"

        async def all_served() -> bool:
            return await crowd(client, 20) == {200: 20}

        await eventually(all_served, within=20)
        watching.cancel()
    assert max(watcher.seen) == MOST_LOADS
