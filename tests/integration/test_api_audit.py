"""The API that audits itself: a change that its cache does not hear of is found, and no other raises an alarm."""

import asyncio

import httpx2
import psycopg
import pytest

from coherence.entry import etag_of
from tests.support.api import ANOMALIES, caching, metric, settings_for
from tests.support.waiting import eventually

PATH = f"{ANOMALIES}?limit=5"


async def outcome(client: httpx2.AsyncClient, name: str) -> float:
    """Return how many checks came to this."""
    sample = f'cache_audit_checks_total{{cache_key_type="anomalies",outcome="{name}"}}'
    return metric((await client.get("/metrics")).text, sample)


async def violations(client: httpx2.AsyncClient) -> float:
    """Return how many violations were found."""
    return metric((await client.get("/metrics")).text, 'cache_audit_violations_total{cache_key_type="anomalies"}')


async def test_a_change_that_nobody_announced_is_found(
    filled_url: str, redis_url: str, cache_prefix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The lease is given by one that hears nothing: hits are old from then on, and the log has what explains it."""
    async with (
        caching(settings_for(filled_url, redis_url, cache_prefix, cache_audit_rate=1.0)) as api,
        api.client() as client,
        await psycopg.AsyncConnection.connect(filled_url, autocommit=True) as connection,
    ):
        served = (await client.get(PATH)).content

        async def hits_until_same() -> bool:
            assert (await client.get(PATH)).content == served
            return await outcome(client, "same") > 0

        await eventually(hits_until_same, within=20)
        assert await violations(client) == 0
        await connection.execute("UPDATE anomalies SET amount = amount + 1")

        async def hits_until_found() -> bool:
            await client.get(PATH)
            return await violations(client) > 0

        await eventually(hits_until_found, within=20)
        assert await outcome(client, "violation") == await violations(client)
        fresh = await client.get(PATH, headers={"Cache-Control": "no-cache"})
    log = capsys.readouterr().out
    (line, *_) = [line for line in log.splitlines() if "audit violation" in line]
    for fact in (etag_of(served), etag_of(fresh.content), '"limit":5', "no change after the stamp"):
        assert fact in line


async def test_a_put_raises_no_alarm(filled_url: str, redis_url: str, cache_prefix: str) -> None:
    """Its change is announced; what was answered before it was right."""
    async with (
        caching(settings_for(filled_url, redis_url, cache_prefix, cache_audit_rate=1.0)) as api,
        api.client() as client,
    ):

        async def change() -> None:
            for number in range(20):
                status = ("NEW", "CONFIRMED")[number % 2]
                response = await client.put(f"{ANOMALIES}/a-0029", json={"new_status": status})
                assert response.status_code == 200
                await asyncio.sleep(0.05)

        changing = asyncio.create_task(change())
        while not changing.done():
            await client.get(PATH)
            await asyncio.sleep(0)
        await changing
        assert await outcome(client, "same") + await outcome(client, "changed") > 0
        assert await violations(client) == 0
