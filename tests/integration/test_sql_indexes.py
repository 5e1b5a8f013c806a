"""The indexes serve every query of the API: no sequential scan at a million rows."""

from collections.abc import AsyncIterator
from importlib.resources import files
from itertools import product
from urllib.parse import urlencode

import psycopg
import pytest

from service.database import _SESSION
from service.queries import ANOMALIES, ANOMALY, TRANSACTIONS, Statement

ROWS = 1_000_000
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
    ]
    for score, status, account, page in product(
        (None, 0, 0.5, 0.8, 0.99, 1), (None, "NEW", "DISMISSED", "CONFIRMED"), (None, "acct_0", "acct_7", "none"), pages
    ):
        given = {"min_score": score, "status": status, "account_id": account, **page}
        asked = urlencode({name: value for name, value in given.items() if value is not None})
        statements.append(ANOMALIES.statement(ANOMALIES.ask(asked.encode(), "")))
    for account, page in product(("acct_0", "acct_7", "none"), pages):
        statements.append(TRANSACTIONS.statement(TRANSACTIONS.ask(urlencode(page).encode(), account)))
    return statements


async def test_no_sequential_scan_at_a_million_rows(big: psycopg.AsyncConnection) -> None:
    """Whatever is asked, with the API's settings, it is read from an index."""
    await big.execute(_SESSION, {"statement_timeout": "0"})
    assert await (await big.execute("SELECT count(*) FROM anomalies")).fetchone() == (ROWS,)
    asked = psycopg.AsyncClientCursor(big)
    found = queries()
    for statement, parameters in found:
        query = asked.mogrify(statement, parameters)
        plan = "\n".join(row[0] for row in await (await big.execute(f"EXPLAIN {query}".encode())).fetchall())
        assert "Seq Scan" not in plan, f"{query}\n{plan}"
    assert len(found) > 300
