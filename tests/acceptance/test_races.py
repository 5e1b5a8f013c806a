"""What passes between a load and its storing, and who shares a load."""

import asyncio

import pytest

from tests.acceptance.conftest import fill
from tests.acceptance.system import ANOMALIES, System, layer, view
from tests.support.processes import Programs
from tests.support.proxy import Proxy
from tests.support.waiting import eventually

MODES = ("rows", "namespace")
ROWS_LEAST_BYTES = 500
"""Postgres' answers that prepare a statement are smaller, and those with rows in them larger."""
PAGE = f"{ANOMALIES}?limit=3"


@pytest.mark.parametrize("mode", MODES)
async def test_a_load_that_a_commit_overtakes_leaves_no_old_answer(
    programs: Programs, migrated_url: str, redis_url: str, cache_prefix: str, mode: str
) -> None:
    """A load that read the old row, and is held up past a commit and its invalidation, is served to nobody later."""
    async with (
        System(programs, migrated_url, redis_url, cache_prefix, {"CACHE_INVALIDATION": mode}) as system,
        Proxy(migrated_url) as proxy,
    ):
        await fill(system)
        await system.start_listener()
        await system.start_replica(DATABASE_URL=proxy.url)
        await system.start_replica()
        await system.caching()
        for turn in range(5):
            await held_up_load(system, proxy, path=f"{ANOMALIES}?limit={10 + turn}", status=f"{turn}")


async def held_up_load(system: System, proxy: Proxy, *, path: str, status: str) -> None:
    """Hold back the answer to a SELECT of replica 0 while its row changes, then look for the old row anywhere."""
    wanted = ("CONFIRMED", "DISMISSED")[int(status) % 2]
    before = await system.generation()
    proxy.hold_answers(larger_than=ROWS_LEAST_BYTES)
    load = asyncio.create_task(system.get(0, path))
    await eventually(lambda: proxy.held)
    await system.sql(f"UPDATE anomalies SET status = '{wanted}' WHERE transaction_id = 'T1'")  # noqa: S608 - a test's
    await system.caught_up(before)
    proxy.resume()
    late = await load
    assert dict(view(late))["T1"] != wanted, "the load was to have read before the commit"
    for replica in (1, 0, 1, 0):
        response = await system.get(replica, path)
        assert dict(view(response))["T1"] == wanted, response.headers["Cache-Status"]


async def test_a_hundred_requests_for_a_cold_key_make_one_load(system: System) -> None:
    """Requests that miss together share one load in each process."""
    for path in (f"{ANOMALIES}?limit=20", "/api/v1/transactions/ACC2"):
        namespace = path.split("/")[3].partition("?")[0]
        before = [await system.metric(replica, "cache_loads_total", cache_key_type=namespace) for replica in (0, 1)]
        answers = await asyncio.gather(*(system.get(turn % 2, path) for turn in range(200)))
        assert len({answer.content for answer in answers}) == 1
        for replica in (0, 1):
            after = await system.metric(replica, "cache_loads_total", cache_key_type=namespace)
            assert after - before[replica] <= 1


@pytest.mark.parametrize("mode", MODES)
async def test_a_request_after_a_put_joins_no_earlier_load(
    programs: Programs, migrated_url: str, redis_url: str, cache_prefix: str, mode: str
) -> None:
    """While a load that began before a PUT is held up, a request that comes after the PUT's 200 gets the new row."""
    async with (
        System(programs, migrated_url, redis_url, cache_prefix, {"CACHE_INVALIDATION": mode}) as system,
        Proxy(migrated_url) as proxy,
    ):
        await fill(system)
        await system.start_listener()
        await system.start_replica(DATABASE_URL=proxy.url)
        await system.start_replica()
        await system.caching()
        proxy.hold_answers(larger_than=ROWS_LEAST_BYTES)
        load = asyncio.create_task(system.get(0, PAGE))
        await eventually(lambda: proxy.held)
        await system.put_status(1, "T1", "CONFIRMED")
        after = asyncio.create_task(system.get(0, PAGE))
        await eventually(lambda: proxy.held >= 2)
        proxy.resume()
        assert dict(view(await load))["T1"] == "NEW"
        assert dict(view(await after))["T1"] == "CONFIRMED"
        assert layer(await after) == "db"
