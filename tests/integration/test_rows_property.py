"""Whatever happens to the rows: an answer that the cache still serves has the bytes of a fresh SELECT's."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import product
from random import Random

import psycopg
import pytest

from anomaly_cache.sample import cases
from anomaly_cache.seed import seed
from service.queries import ANOMALIES, ANOMALY, TRANSACTIONS
from tests.support.row_life import Weather, live
from tests.support.row_questions import Asked, asked
from tests.support.row_values import STATUSES
from tests.support.row_world import row_world

PAIRS = 100_000
"""Times that a cached answer meets a change, in all worlds together."""

WORLDS = {
    "plain": Weather(seed=1),
    "wild": Weather(seed=2, wild=0.01),
    "forgetful": Weather(seed=3, kept_changes=100, l1_bytes=300_000, batch_rows=8),
    "crowded": Weather(seed=4, at_once=3, batch_rows=3),
}

RecordProperty = Callable[[str, object], None]


@pytest.mark.parametrize("weather", WORLDS.values(), ids=WORLDS)
async def test_what_is_served_is_what_a_select_answers(
    weather: Weather,
    migrated_url: str,
    redis_url: str,
    cache_prefix: str,
    monkeypatch: pytest.MonkeyPatch,
    record_property: RecordProperty,
) -> None:
    """After random transactions no cached answer that is served differs from the database's in any byte."""
    share = PAIRS // len(WORLDS)
    tally = await live(weather, migrated_url, redis_url, cache_prefix, pairs=share, patch=monkeypatch)
    print(tally)  # noqa: T201 - a figure to be seen
    record_property("tally", str(tally))
    assert tally.pairs * len(WORLDS) >= PAIRS
    # A cache that drops everything is right, too; one on a busy machine, which now and then has no lease, drops more.
    assert tally.served.total() > tally.pairs / 10
    assert min(tally.served["l1"], tally.served["l2"]) > tally.pairs / 100


ROWS = 2000
CHANGES = 60
RIGHTLY = 0.9
"""Least share of the dropped answers that have to have changed."""


async def test_most_of_what_is_dropped_had_changed(
    migrated_url: str, redis_url: str, cache_prefix: str, record_property: RecordProperty
) -> None:
    """On the demo's rows, analysts and detectors at work, at least nine of ten dropped answers had really changed."""
    random = Random(5)
    await seed(migrated_url, rows=ROWS)
    rows = [case.anomaly for _, case in zip(range(ROWS), cases(1), strict=False)]
    questions = list(_usual_questions(rows[0]["account_id"], [str(row["transaction_id"]) for row in rows[:60]]))
    async with (
        await psycopg.AsyncConnection.connect(migrated_url, autocommit=True) as connection,
        row_world(migrated_url, redis_url, cache_prefix, questions, random) as world,
    ):
        await world.check()
        newcomers = (case.anomaly for case in cases(2))
        for _ in range(CHANGES):
            if random.random() < 0.7:
                change = "UPDATE anomalies SET status = %s, updated_at = clock_timestamp() WHERE transaction_id = %s"
                values = [random.choice(STATUSES), random.choice(rows)["transaction_id"]]
            else:
                row = {**next(newcomers), "detected_at": datetime.now(UTC)}
                rows.append(row)
                places = ", ".join(["%s"] * len(row))
                change = f"INSERT INTO anomalies ({', '.join(row)}) VALUES ({places})"  # noqa: S608 - our own columns
                values = list(row.values())
            await connection.execute(change.encode(), values)
            await world.hear()
            await world.check([change])
    print(world.tally)  # noqa: T201 - a figure to be seen
    record_property("tally", str(world.tally))
    assert world.tally.dropped > 100
    assert world.tally.precision >= RIGHTLY


def _usual_questions(account: object, ids: list[str]) -> Iterator[Asked]:
    for status, score in product((None, *STATUSES), (None, 0.5, 0.8, 0.9)):
        for offset in (0, 20, 40, 200):
            yield asked(ANOMALIES, status=status, min_score=score, limit=20, offset=offset)
    for status in (None, *STATUSES):
        yield asked(ANOMALIES, status=status, account_id=account)
    yield asked(TRANSACTIONS, str(account))
    yield from (asked(ANOMALY, key) for key in ids)
