"""Many changes at once."""

import asyncio
from functools import partial

import pytest

from tests.chaos.fleet import Fleet, MakeFleet
from tests.chaos.trial import Run
from tests.chaos.ways import ROW, Way
from tests.chaos.writer import KEYS

ROWS = 1_000_000
COMMITS = 20_000
HANDFUL = 10
"""Invalidations that one transaction may cost. A bump holds one or more; other bumps are for a Redis that was late."""
SEVERAL = 4
"""Commits that a bump sums up on average, when they come as fast as they go."""

WIDE = """
INSERT INTO anomalies (transaction_id, account_id, amount, currency, score)
SELECT 'WIDE-' || i, repeat('w', 200), 1, 'EUR', 0.1 FROM generate_series(1, 90) AS i
"""
BULK = f"""
INSERT INTO anomalies (transaction_id, account_id, amount, currency, score)
SELECT 'BULK-' || i, 'BULK', 1, 'EUR', 0.1 FROM generate_series(1, {ROWS}) AS i
"""  # noqa: S608 - a constant
LARGE = (
    Way("a payload too long", (":update; UPDATE anomalies SET reason = reason WHERE transaction_id LIKE 'WIDE-%'",)),
    Way("thousands of statements", ("DO $$ BEGIN FOR i IN 1..5000 LOOP :update; END LOOP; END $$",)),
    Way("a million rows", (f"{BULK}; :update",)),
    Way("a million rows deleted", ("DELETE FROM anomalies WHERE account_id = 'BULK'; :update",)),
)


async def bumps(fleet: Fleet) -> float:
    """Return how many generations the listener has made."""
    return await fleet.listener_metric("listener_bumps_total")


async def invalidations(fleet: Fleet) -> float:
    """Return how many changes of the anomalies the listener has told of."""
    name = "listener_invalidations_total"
    causes = ("insert", "update", "delete")
    return sum([await fleet.listener_metric(name, namespace="anomalies", cause=cause) for cause in causes])


@pytest.mark.long
@pytest.mark.scenario("large-transactions")
@pytest.mark.timeout(900)
async def test_large_transactions(make_fleet: MakeFleet, run: Run) -> None:
    """A notification past 8,000 bytes, thousands of statements, a million rows: all commit, for a handful of bumps."""
    fleet = await make_fleet(own_postgres=True, bound=5.0)
    await fleet.sql(WIDE)
    async with run(fleet) as trial, trial.fault("large"), await fleet.connect() as connection:
        await trial.writer.pause()
        for way in LARGE:
            await fleet.audited()
            await trial.cached()
            before = await invalidations(fleet)
            trial.phase = way.name
            await trial.writer.change(ROW, partial(way.commit, connection))
            await trial.shown()
            await fleet.audited()
            made = await invalidations(fleet) - before
            assert 1 <= made <= HANDFUL, way.name
            trial.report.figures[f"invalidations for {way.name}"] = made
        assert await fleet.listener_metric("listener_overflows_total", cause="bytes") > 0


@pytest.mark.long
@pytest.mark.scenario("many-commits")
@pytest.mark.timeout(600)
async def test_many_commits(make_fleet: MakeFleet, run: Run) -> None:
    """Single-row commits as fast as they go: far fewer bumps, the last is seen, and every replica answers meanwhile."""
    fleet = await make_fleet()

    async def flood(key: str) -> None:
        async with await fleet.connect() as connection:
            for _ in range(COMMITS // len(KEYS)):
                await trial.writer.change((key,), partial(Way("UPDATE", (":update",), keys=(key,)).commit, connection))

    async with run(fleet) as trial:
        before = await bumps(fleet)
        async with trial.fault("flood"):
            await trial.writer.pause()
            answering = asyncio.create_task(trial.answers(200))
            await asyncio.gather(*(flood(key) for key in KEYS))
            assert answering.done(), "a replica was starved"
            await answering
            trial.report.figures["bumps"] = made = await bumps(fleet) - before
        assert made < COMMITS / SEVERAL
