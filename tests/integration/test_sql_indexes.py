"""The indexes serve every query of the API: no sequential scan at a million rows."""

from collections.abc import AsyncIterator
from importlib.resources import files
from itertools import product
from urllib.parse import urlencode

import psycopg
import pytest

from service.database import _SESSION
from service.place import Place
from service.queries import ANOMALIES, ANOMALY, TRANSACTIONS
from service.questions import Statement

ROWS = 1_000_000
FIRST = Place("2025-12-23T11:00:00+00:00", "STRIPE_ch_00000001").as_cursor(ANOMALIES.path)
DEEP = Place("2025-11-24T00:00:00+00:00", "STRIPE_ch_00000001").as_cursor(ANOMALIES.path)
TABLES = (files("sql") / "010_tables.sql").read_bytes()

# Physical order and time have nothing to do with each other, which makes an index scan as dear as it gets; narrow rows
# make a sequential scan as cheap as it gets.
LOAD = """
    ALTER TABLE anomalies SET UNLOGGED;
    ALTER TABLE transactions SET UNLOGGED;
    DROP INDEX anomalies_newest, anomalies_status, anomalies_account, anomalies_score, transactions_account;
    SELECT setseed(0.5);
    INSERT INTO anomalies (transaction_id, account_id, amount, currency, score, status, detected_at)
    SELECT 'STRIPE_ch_' || lpad(g::text, 8, '0'), 'acct_' || (2000 * random() ^ 3)::integer, 12.34, 'EUR', random(),
           (ARRAY['NEW', 'NEW', 'NEW', 'NEW', 'NEW', 'INVESTIGATING', 'INVESTIGATED', 'DISMISSED'])[1 + g % 8],
           timestamptz '2025-12-23 12:00+00' - random() * interval '30 days'
      FROM generate_series(1, 1000000) AS g;
    UPDATE anomalies SET status = 'CONFIRMED' WHERE transaction_id <= 'STRIPE_ch_00000100';
    INSERT INTO transactions (transaction_id, account_id, amount, currency, occurred_at)
    SELECT transaction_id, account_id, amount, currency, detected_at FROM anomalies;
"""


@pytest.fixture
async def big(database_url: str) -> AsyncIterator[psycopg.AsyncConnection]:
    """A database with a million anomalies and transactions, and the indexes that migrate makes."""
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        await connection.execute(TABLES)
        await connection.execute(LOAD.encode())
        await connection.execute(TABLES)
        await connection.execute("ANALYZE anomalies, transactions")
        yield connection


def queries() -> list[Statement]:
    """Return the API's queries with every combination of filters, common and rare values, first and far pages."""
    statements = [ANOMALY.statement(ANOMALY.ask(b"", "STRIPE_ch_00000001"))]
    pages: list[dict[str, object]] = [
        {"limit": 1},
        {},
        {"limit": 1000, "offset": 1000},
        {"limit": 1000, "offset": 10_000},
        {"limit": 1000, "offset": 900_000},
        {"limit": 100, "cursor": FIRST},
        {"limit": 1000, "cursor": DEEP},
    ]
    for score, status, account, page in product(
        (None, 0, 0.5, 0.8, 0.99, 1), (None, "NEW", "DISMISSED", "CONFIRMED"), (None, "acct_0", "acct_7", "none"), pages
    ):
        given = {"min_score": score, "status": status, "account_id": account, **page}
        asked = urlencode({name: value for name, value in given.items() if value is not None})
        statements.append(ANOMALIES.statement(ANOMALIES.ask(asked.encode(), "")))
    for account, page in product(("acct_0", "acct_7", "none"), pages[:-2]):
        statements.append(TRANSACTIONS.statement(TRANSACTIONS.ask(urlencode(page).encode(), account)))
    return statements


async def blocks(connection: psycopg.AsyncConnection, statement: Statement) -> int:
    """Return how many blocks Postgres looks at for an answer."""
    query = psycopg.AsyncClientCursor(connection).mogrify(*statement)
    cursor = await connection.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {query}".encode())
    row = await cursor.fetchone()
    assert row is not None
    plan = row[0][0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


async def test_no_sequential_scan_at_a_million_rows(big: psycopg.AsyncConnection) -> None:
    """Whatever is asked, with the API's settings, it is read from an index.

    A page behind a cursor costs the same wherever it is, with a filter or not, and among rows that are level with it.
    """
    await big.execute(_SESSION, {"statement_timeout": "0"})
    assert await (await big.execute("SELECT count(*) FROM anomalies")).fetchone() == (ROWS,)
    asked = psycopg.AsyncClientCursor(big)
    found = queries()
    for statement, parameters in found:
        query = asked.mogrify(statement, parameters)
        plan = "\n".join(row[0] for row in await (await big.execute(f"EXPLAIN {query}".encode())).fetchall())
        assert "Seq Scan" not in plan, f"{query}\n{plan}"
    assert len(found) > 300
    await _costs_the_same_wherever_it_is(big)


async def _costs_the_same_wherever_it_is(big: psycopg.AsyncConnection) -> None:
    for narrowed in ("", "&status=NEW", "&account_id=acct_0"):
        first = await blocks(big, ANOMALIES.statement(ANOMALIES.ask(f"limit=50{narrowed}".encode(), "")))
        for place in (FIRST, DEEP, Place("2025-11-23T13:00:00+00:00", "STRIPE_ch_00500000").as_cursor(ANOMALIES.path)):
            query = ANOMALIES.ask(f"limit=50&cursor={place}{narrowed}".encode(), "")
            assert await blocks(big, ANOMALIES.statement(query)) < 2 * first + 20
    far = await blocks(big, ANOMALIES.statement(ANOMALIES.ask(b"limit=50&offset=900000", "")))
    assert far > 100 * first
    await big.execute(
        "UPDATE anomalies SET detected_at = '2025-12-01 00:00+00' WHERE transaction_id > 'STRIPE_ch_0099'"
    )
    level = Place("2025-12-01T00:00:00+00:00", "STRIPE_ch_00995000").as_cursor(ANOMALIES.path)
    assert await blocks(big, ANOMALIES.statement(ANOMALIES.ask(f"limit=50&cursor={level}".encode(), ""))) < 400
