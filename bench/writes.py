"""What announcing changes costs those who write."""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import psycopg

from anomaly_cache.demo.servers import Servers
from bench import bulk
from bench.figures import table
from bench.pgbench import KEYS, commits_per_second
from bench.sections import Advance, Section
from bench.servers import TEMPLATE, prepare, running
from bench.watching import PLAIN, SETUPS, TABLE, columns_of, hearing, order, set_up

ROWS = 100_000
WRITERS = (1, 8, 32)
BULK_ROUNDS = 7
DURABLE = {"fsync": "on", "synchronous_commit": "on"}
LAX = {"fsync": "off", "synchronous_commit": "off"}
POSTGRES = {"shared_buffers": "256MB", "max_wal_size": "4GB", "autovacuum": "off"}

Figures = dict[str, dict[str, list[float]]]
"""By what was measured and by setup: the rounds' values."""


async def _measure_all(quick: bool, advance: Advance) -> dict[str, Any]:
    rounds, seconds = (1, 1) if quick else (3, 2)
    figures: dict[str, Figures] = {}
    bulks: dict[str, bulk.Bulk] = {}
    for kind, settings in (("durable", DURABLE), ("not waiting for the disk", LAX)):
        if quick and kind == "durable":
            continue
        with running({**POSTGRES, **settings}) as servers:
            advance(f"commits {kind}: rows")
            await prepare(servers.postgres, ROWS)
            bulks[kind] = await bulk.measure(servers, 1 if quick else BULK_ROUNDS, advance)
            figures[kind] = await _measure(servers, rounds, seconds, advance)
    return {"rounds": rounds, "seconds": seconds, "figures": figures, "bulk": bulks}


def render(result: Mapping[str, Any]) -> str:
    """Return the tables in Markdown."""
    intro = (
        f"Medians of {result['rounds']} rounds of {result['seconds']} s, pgbench; in brackets the ratio to no trigger. "
        "`namespace` and `rows` are what the triggers tell. One session LISTENs.\n\n"
    )
    tables = "\n".join(f"Commits {kind}:\n\n{_table(each)}" for kind, each in result["figures"].items())
    return (
        f"{intro}{tables}\nA NOTIFY takes a lock at commit, whatever it says, so that concurrent writers commit one\n"
        f"after the other.\n\n{bulk.render(result['bulk'], ROWS)}"
    )


async def _measure(servers: Servers, rounds: int, seconds: int, advance: Advance) -> Figures:
    url = servers.postgres.url_for(TEMPLATE)
    figures: Figures = defaultdict(lambda: defaultdict(list))
    with TemporaryDirectory() as name, hearing(url):
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            await connection.execute(KEYS)
            columns = await columns_of(connection)
            for number in range(rounds):
                advance(f"commits, round {number + 1} of {rounds}")
                for writers in WRITERS:
                    for setup in order(number):
                        await set_up(connection, setup, columns)
                        # What the measurement before left behind is not to be paid for by this one.
                        await connection.execute(f"VACUUM {TABLE}")
                        await connection.execute("CHECKPOINT")
                        rate = await commits_per_second(
                            url, writers=writers, seconds=seconds, rows=ROWS, directory=Path(name)
                        )
                        figures[f"commits/s, {writers} writers"][setup].append(rate)
    return {what: dict(by_setup) for what, by_setup in figures.items()}


def _table(figures: Figures) -> str:
    rows = []
    for what, by_setup in figures.items():
        middle = {setup: median(values) for setup, values in by_setup.items()}
        cells = [f"{middle[setup]:,.0f} ({middle[setup] / middle[PLAIN]:.2f})" for setup in SETUPS]
        rows.append([what, *cells])
    return table(["", *SETUPS], rows)


WRITES = Section("writes", "What does it cost those who write?", _measure_all, render)
