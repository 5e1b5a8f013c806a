"""What a miss, a write and a change's way cost, by how many rows the table has."""

import time
from itertools import count
from typing import Any

import psycopg

from anomaly_cache.demo.servers import Servers
from bench.client import get
from bench.figures import percentile
from bench.freshness import ASKED, latencies
from bench.sections import Advance
from bench.servers import TEMPLATE
from bench.system import system

ROWS = (20_000, 200_000, 1_000_000, 5_000_000)
MISSES = 100
UPDATES = 100
ENOUGH_SECONDS = 150.0
"""No larger table is begun after that."""
WATCHED = "SELECT columns FROM coherence.tables WHERE namespace = 'anomalies'"
INDEXES = "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'anomalies' AND indexname NOT LIKE '%_pkey'"
FILL = """
INSERT INTO public.anomalies (transaction_id, account_id, amount, currency, score, status, reason, detected_at,
                              updated_at, merchant, channel, country, device_id, model_version)
SELECT 'GROWN_' || n, 'acct_' || mod(n, 5000), mod(n, 100000) / 100.0, 'EUR', mod(n, 1000) / 1000.0,
       (ARRAY['NEW', 'INVESTIGATING', 'INVESTIGATED', 'CONFIRMED', 'DISMISSED'])[1 + mod(n, 5)], 'made up by the bench',
       timestamptz '2025-01-01' + n * interval '1 second', timestamptz '2025-01-01', 'Bench', 'ecommerce', 'DE',
       'dev_' || mod(n, 1000), 'bench'
FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n
"""


async def measure(servers: Servers, quick: bool, advance: Advance) -> list[dict[str, Any]]:
    """Return, for each number of rows, in ms: misses of the first page, of one row, the freshness, and the commit."""
    found = []
    there = ROWS[0]
    began = time.monotonic()
    for rows in ROWS[: 2 if quick else None]:
        if time.monotonic() - began > ENOUGH_SECONDS:
            break
        advance(f"{rows:,} rows")
        await _grow(servers, there, rows)
        there = rows
        name = f"grown_{rows}"
        async with system(servers, name, {}, replicas=({},)) as made:
            port = made.replicas[0].port
            by_stage = await latencies(made, f"{name}:", UPDATES)
            found.append(
                {
                    "rows": rows,
                    "page": await _misses(port, "/api/v1/anomalies?limit=100&min_score=0.0{}"),
                    "account": await _misses(port, "/api/v1/anomalies?limit=100&account_id=acct_{}"),
                    "fresh": percentile(sorted(by_stage[ASKED[0]]), 50),
                }
            )
    return found


async def _misses(port: int, target: str) -> float:
    numbers = count(1000)
    times = []
    for _ in range(MISSES):
        began = time.perf_counter()
        await get(port, target.format(next(numbers)))
        times.append(1000 * (time.perf_counter() - began))
    return percentile(sorted(times), 50)


async def _grow(servers: Servers, there: int, rows: int) -> None:
    """Fill the table of the template up to so many rows, unwatched and without its indexes meanwhile."""
    if rows <= there:
        return
    url = servers.postgres.url_for(TEMPLATE)
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        [(columns,)] = await (await connection.execute(WATCHED)).fetchall()
        indexes = await (await connection.execute(INDEXES)).fetchall()
        await connection.execute("SET maintenance_work_mem = '512MB'")
        await connection.execute("SELECT coherence.unwatch('public.anomalies')")
        for name, _ in indexes:
            await connection.execute(f"DROP INDEX public.{name}")
        await connection.execute(FILL, {"first": there + 1, "last": rows})
        for _, definition in indexes:
            await connection.execute(definition)
        await connection.execute("SELECT coherence.watch('public.anomalies', 'anomalies', %s)", (columns,))
        await connection.execute("VACUUM ANALYZE public.anomalies")
