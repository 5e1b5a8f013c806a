"""`seed`: realistic rows, the same on every run, and never a row of somebody else's touched."""

import json
from collections import Counter
from collections.abc import AsyncIterator
from time import monotonic

import psycopg
import pytest
from click.testing import CliRunner

from anomaly_cache.admin import AdminError
from anomaly_cache.commands import seed as command
from anomaly_cache.seed import Added, seed
from tests.support.hearing import listening
from tests.support.postgres import one


@pytest.fixture
async def database(migrated_url: str) -> AsyncIterator[psycopg.AsyncConnection]:
    """A session with the migrated tables."""
    async with await psycopg.AsyncConnection.connect(migrated_url, autocommit=True) as connection:
        yield connection


async def test_rows_are_realistic(migrated_url: str, database: psycopg.AsyncConnection) -> None:
    """Five hundred bytes a row; every status and many currencies occur, and a few accounts have most of the cases."""
    assert await seed(migrated_url, rows=3000) == Added(3000, 3000)
    for table in ("anomalies", "transactions"):
        size = await one(database, f"SELECT avg(length(row_to_json(t)::text))::integer FROM {table} t")  # noqa: S608
        assert 450 <= size <= 550
    rows = await (await database.execute("SELECT row_to_json(a)::text FROM anomalies a")).fetchall()
    anomalies = [json.loads(row[0]) for row in rows]
    assert set(Counter(row["status"] for row in anomalies)) == {
        "NEW",
        "INVESTIGATING",
        "INVESTIGATED",
        "CONFIRMED",
        "DISMISSED",
    }
    assert len({row["currency"] for row in anomalies}) > 5
    accounts = Counter(row["account_id"] for row in anomalies).most_common()
    assert accounts[0][1] > 50 * accounts[-1][1]
    assert 0.2 < sum(row["score"] >= 0.8 for row in anomalies) / len(anomalies) < 0.6
    assert any(row["transaction_id"].startswith("STRIPE_ch_3Sg") for row in anomalies)
    assert all(row["detected_at"] <= row["updated_at"] and None not in row.values() for row in anomalies)
    unmatched = await one(
        database,
        """
        SELECT count(*) FROM anomalies a FULL JOIN transactions t USING (transaction_id, account_id, amount, currency)
         WHERE a.status IS NULL OR t.occurred_at IS NULL OR t.occurred_at > a.detected_at
    """,
    )
    assert unmatched == 0


async def test_the_same_seed_makes_the_same_rows(migrated_url: str, database: psycopg.AsyncConnection) -> None:
    """A second run adds nothing and undoes no update; more rows add to fewer; another seed makes others."""
    await seed(migrated_url, rows=100)
    await database.execute("UPDATE anomalies SET status = 'CONFIRMED', reason = 'mine'")
    await database.execute(
        "DELETE FROM transactions WHERE transaction_id = (SELECT min(transaction_id) FROM transactions)"
    )
    async with listening(migrated_url) as ears:
        assert await seed(migrated_url, rows=100) == Added(0, 1)
        assert await ears.changes() == [("transactions", "insert")]
        assert await seed(migrated_url, rows=100) == Added(0, 0)
        assert await ears.changes() == []
    assert await one(database, "SELECT count(*) FROM anomalies WHERE reason = 'mine'") == 100
    everything = "SELECT md5(string_agg(a::text, ',' ORDER BY transaction_id)) FROM anomalies a"
    await database.execute("TRUNCATE anomalies, transactions")
    assert await seed(migrated_url, rows=150) == Added(150, 150)
    first = await one(database, everything)
    await database.execute("TRUNCATE anomalies, transactions")
    await seed(migrated_url, rows=100)
    assert await seed(migrated_url, rows=150) == Added(50, 50)
    assert await one(database, everything) == first
    assert await seed(migrated_url, rows=100, seed=2) == Added(100, 100)


async def test_is_quick_and_reports_how_far_it_is(migrated_url: str, database: psycopg.AsyncConnection) -> None:
    """The demo's 20,000 rows take seconds, and leave the planner with statistics."""
    told: list[int] = []
    start = monotonic()
    await seed(migrated_url, rows=20_000, report=told.append)
    assert monotonic() - start < 30  # 3 s on an idle machine
    assert sum(told) == 20_000
    assert len(told) >= 10
    assert await one(database, "SELECT reltuples FROM pg_class WHERE relname = 'anomalies'") == 20_000


async def test_needs_the_tables(database_url: str) -> None:
    """Before migrate there is nothing to load into, and the message says what to do."""
    with pytest.raises(AdminError, match="run `anomaly-cache migrate` first"):
        await seed(database_url, rows=1)


def test_the_command_reports_in_plain_lines(migrated_url: str) -> None:
    """Where there is no terminal, a few lines tell how far it is, and one what was added."""
    result = CliRunner().invoke(command, ["--rows", "8000"], env={"DATABASE_URL": migrated_url})
    assert result.output.splitlines() == [
        "anomalies: 2,000 of 8,000",
        "anomalies: 4,000 of 8,000",
        "anomalies: 6,000 of 8,000",
        "anomalies: 8,000 of 8,000",
        "added 8,000 anomalies and 8,000 transactions (0 anomalies were there already)",
    ]
    assert result.exit_code == 0
    again = CliRunner().invoke(command, ["--rows", "0"], env={"DATABASE_URL": migrated_url})
    assert again.output == "added 0 anomalies and 0 transactions (0 anomalies were there already)\n"
    assert CliRunner().invoke(command, ["--rows", "-1"], env={"DATABASE_URL": migrated_url}).exit_code == 2
