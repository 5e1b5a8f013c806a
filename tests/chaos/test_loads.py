"""What passes between a load's SELECT and its way into Redis and into a process' memory, and who may share it."""

import asyncio

import httpx2
import pytest

from tests.acceptance.conftest import fill
from tests.acceptance.system import ANOMALIES, layer, view
from tests.chaos.fleet import PATIENCE_SECONDS, Fleet, MakeFleet
from tests.chaos.report import Record, Report
from tests.chaos.trial import Run, Trial
from tests.support.proxy import Proxy
from tests.support.waiting import eventually

LIST_BYTES = 1000
"""A list in Redis is larger; so is no message of the backplane about a row or two."""
PATIENT = {"REDIS_TIMEOUT_MS": "5000"}
"""So that what is held up in the network comes late, and is not given up."""
FORGETFUL = {"CACHE_L1_MAX_BYTES": "4096"}
"""Room for one list or two, so that most is looked for in Redis."""
SOON = 0.2
"""Seconds for the last of several changes to be heard of, too."""
TURNS = 2
PAGE_BYTES = 3000
"""A page of 20 rows is larger, and what answers a PUT is smaller."""
STATUSES = ("CONFIRMED", "DISMISSED")


@pytest.mark.scenario("nothing")
async def test_nothing_breaks(make_fleet: MakeFleet, run: Run) -> None:
    """Without a fault no answer is old, and both caches serve."""
    fleet = await make_fleet(replicas=2)
    async with run(fleet) as trial:
        await trial.lasts(3 * fleet.bound)
        await trial.answers(50)


@pytest.mark.quick
@pytest.mark.scenario("late-load")
async def test_loads_that_commits_overtake(make_fleet: MakeFleet, run: Run) -> None:
    """Rows that were read before a commit, and come after its invalidation, are served to nobody later."""
    fleet = await make_fleet(replicas=2, DB_STATEMENT_TIMEOUT_MS="20000")
    async with run(fleet) as trial, trial.fault("SELECTs answered late"):
        for _ in range(TURNS):
            fleet.apis[0].postgres.hold_answers(larger_than=0)
            await overtaken(trial, fleet.apis[0].postgres)


@pytest.mark.scenario("late-set")
async def test_writes_to_redis_that_commits_overtake(make_fleet: MakeFleet, run: Run) -> None:
    """An entry that reaches Redis after the invalidation of its rows, over a newer one even, is served to nobody."""
    fleet = await make_fleet(replicas=1, **PATIENT)
    await fleet.add_api(**FORGETFUL)
    async with run(fleet) as trial, trial.fault("entries stored late"):
        for _ in range(TURNS):
            fleet.apis[0].redis.hold_requests(larger_than=LIST_BYTES)
            await overtaken(trial, fleet.apis[0].redis)


@pytest.mark.scenario("late-l2-answer")
async def test_answers_of_redis_that_commits_overtake(make_fleet: MakeFleet, run: Run) -> None:
    """An entry that Redis gave before the invalidation, and that comes after it, is neither served nor kept."""
    fleet = await make_fleet(replicas=2, **PATIENT)
    async with run(fleet) as trial, trial.fault("entries come late"):
        for _ in range(TURNS):
            fleet.apis[0].redis.hold_answers(larger_than=LIST_BYTES)
            await overtaken(trial, fleet.apis[0].redis)


async def overtaken(trial: Trial, proxy: Proxy) -> None:
    """Hold something up in `proxy` until everything has changed, and all replicas have heard of it; then let it go.

    Nothing is written for a while after that: no later change shall hide what was let go.
    """
    await eventually(lambda: proxy.held or proxy.held_requests, within=PATIENCE_SECONDS)
    await trial.writer.pause()
    before = await trial.fleet.generation()
    await trial.writer.change_all()
    await trial.fleet.caught_up(before)
    await trial.lasts(SOON)
    proxy.resume()
    await trial.lasts(1.5 * trial.fleet.bound)
    trial.writer.resume()


@pytest.mark.scenario("load-before-put")
async def test_a_request_after_a_put_joins_no_load_from_before(make_fleet: MakeFleet, record: Record) -> None:
    """While a load is held up that read before a PUT, whoever asks after the PUT's 200 gets the new row."""
    fleet = await make_fleet(replicas=2)
    await fill(fleet)
    await fleet.caching()
    status = "NEW"
    for turn in range(2 * TURNS):
        page, old = f"{ANOMALIES}?limit={20 + turn}", status
        status = STATUSES[turn % 2]
        early = await held_load(fleet, page)
        await fleet.put_status(turn // 2 % 2, "T1", status)
        late = await held_load(fleet, page)
        fleet.apis[0].postgres.resume()
        assert dict(view(await early))["T1"] == old, "the load was to have read before the PUT"
        assert dict(view(await late))["T1"] == status
        assert layer(await late) == "db"
    record(Report("load-before-put", fleet.mode, fleet.bound, figures={f"old, of {2 * TURNS}": 0}))


async def held_load(fleet: Fleet, page: str) -> asyncio.Task[httpx2.Response]:
    """Ask replica 0 for a page, and hold up the answer of Postgres."""
    proxy = fleet.apis[0].postgres
    held = proxy.held
    proxy.hold_answers(larger_than=PAGE_BYTES)
    load = asyncio.create_task(fleet.get(0, page))
    await eventually(lambda: proxy.held > held, within=PATIENCE_SECONDS)
    return load
