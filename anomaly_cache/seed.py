"""Load made-up anomalies and their transactions."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

import psycopg
from psycopg import sql

from anomaly_cache.admin import transaction
from anomaly_cache.sample import Row, cases

BATCH = 2000


@dataclass(frozen=True, slots=True)
class Added:
    """How many rows were not there before."""

    anomalies: int
    transactions: int


async def seed(url: str, *, rows: int, seed: int = 1, report: Callable[[int], None] = lambda _: None) -> Added:
    """Load the first `rows` anomalies that `seed` makes, and their transactions, into the database of `url`.

    Rows that are there already stay as they are, so that a second run adds nothing. All or nothing is added. `report`
    is told how many more anomalies are done. Raises AdminError.
    """
    added = Added(0, 0)
    made = cases(seed)
    async with transaction(url, application="anomaly-cache seed") as connection:
        for done in range(0, rows, BATCH):
            batch = list(islice(made, min(BATCH, rows - done)))
            added = Added(
                added.anomalies + await _insert(connection, "anomalies", [case.anomaly for case in batch]),
                added.transactions + await _insert(connection, "transactions", [case.transaction for case in batch]),
            )
            report(len(batch))
        if added != Added(0, 0):
            await connection.execute("ANALYZE public.anomalies, public.transactions")
    return added


async def _insert(connection: psycopg.AsyncConnection, table: str, rows: list[Row]) -> int:
    """Insert the rows that are not there yet; return how many those were."""
    # COPY cannot pass over a row that is there, so the rows go through a table of this transaction's own.
    names = {
        "target": sql.Identifier("public", table),
        "passage": sql.Identifier("pg_temp", f"seed_{table}"),
        "columns": sql.SQL(", ").join(map(sql.Identifier, rows[0])),
    }
    await connection.execute(
        sql.SQL("CREATE TEMP TABLE {passage} ON COMMIT DROP AS SELECT {columns} FROM {target} WITH NO DATA").format(
            **names
        )
    )
    async with connection.cursor() as cursor:
        async with cursor.copy(sql.SQL("COPY {passage} FROM STDIN").format(**names)) as copy:
            for row in rows:
                await copy.write_row(tuple(row.values()))
        await cursor.execute(
            sql.SQL(
                "INSERT INTO {target} ({columns}) SELECT {columns} FROM {passage}"
                " ON CONFLICT (transaction_id) DO NOTHING"
            ).format(**names)
        )
        inserted = cursor.rowcount
        await cursor.execute(sql.SQL("DROP TABLE {passage}").format(**names))
    return inserted
