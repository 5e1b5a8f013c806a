"""What announcing changes costs those who write."""

import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import psycopg

from anomaly_cache.demo.servers import Servers
from bench.figures import table
from bench.pgbench import KEYS, commits_per_second
from bench.sections import Advance, Section
from bench.servers import TEMPLATE, prepare, running

ROWS = 100_000
WRITERS = (1, 8, 32)
TABLE = "public.anomalies"
UNWATCH = f"SELECT coherence.unwatch('{TABLE}')"
SETUPS = {
    "no trigger": (UNWATCH,),
    "namespace": (UNWATCH, f"SELECT coherence.watch('{TABLE}', 'anomalies', '{{}}')"),
    "rows": (UNWATCH, f"SELECT coherence.watch('{TABLE}', 'anomalies', %(columns)s)"),
}
COLUMNS = "SELECT columns FROM coherence.tables WHERE namespace = 'anomalies'"
BULK_AIM = 1.05
BULK = "UPDATE public.anomalies SET updated_at = now()"
DURABLE = {"fsync": "on", "synchronous_commit": "on"}
LAX = {"fsync": "off", "synchronous_commit": "off"}
POSTGRES = {"shared_buffers": "256MB", "max_wal_size": "4GB", "autovacuum": "off"}

Figures = dict[str, dict[str, list[float]]]
"""By what was measured and by setup: the rounds' values."""


async def _measure_all(quick: bool, advance: Advance) -> dict[str, Any]:
    rounds, seconds = (1, 1) if quick else (3, 2)
    figures: dict[str, Figures] = {}
    for kind, settings in (("durable", DURABLE), ("not waiting for the disk", LAX)):
        if quick and kind == "durable":
            continue
        with running({**POSTGRES, **settings}) as servers:
            advance(f"commits {kind}: rows")
            figures[kind] = await _measure(servers, rounds, seconds, partial(_tell, advance, kind))
    return {"rounds": rounds, "seconds": seconds, "figures": figures}


def _tell(advance: Advance, kind: str, what: str) -> None:
    advance(f"{kind}: {what}")


def render(result: Mapping[str, Any]) -> str:
    """Return the tables in Markdown."""
    intro = (
        f"Medians of {result['rounds']} rounds of {result['seconds']} s, pgbench; in brackets the ratio to no trigger. "
        "`namespace` and `rows` are what the triggers tell. One session LISTENs.\n\n"
    )
    tables = "\n".join(f"Commits {kind}:\n\n{_table(each)}" for kind, each in result["figures"].items())
    bulk = [
        median(by_setup["rows"]) / median(by_setup["no trigger"])
        for each in result["figures"].values()
        for what, by_setup in each.items()
        if what.startswith("UPDATE")
    ]
    verdict = "met" if max(bulk) <= BULK_AIM else "**missed** (Postgres keeps the changed rows for the triggers)"
    return (
        f"{intro}{tables}\nAimed at, the large UPDATE: ≤ {BULK_AIM:g} × that without triggers, {verdict}. A NOTIFY\n"
        "takes a lock at commit, whatever it says, so that concurrent writers commit one after the other.\n"
    )


async def _measure(servers: Servers, rounds: int, seconds: int, advance: Advance) -> Figures:
    await prepare(servers.postgres, ROWS)
    url = servers.postgres.url_for(TEMPLATE)
    figures: Figures = defaultdict(lambda: defaultdict(list))
    with TemporaryDirectory() as name, _hearing(url):
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            await connection.execute(KEYS)
            columns = await (await connection.execute(COLUMNS)).fetchone()
            assert columns is not None  # noqa: S101 - migrate watches the table
            for number in range(rounds):
                # Each round begins with another: what the disk and the neighbours do falls on all alike.
                order = list(SETUPS)[number % len(SETUPS) :] + list(SETUPS)[: number % len(SETUPS)]
                advance(f"round {number + 1} of {rounds}")
                for writers in WRITERS:
                    for setup in order:
                        await _set_up(connection, setup, columns[0])
                        rate = await commits_per_second(
                            url, writers=writers, seconds=seconds, rows=ROWS, directory=Path(name)
                        )
                        figures[f"commits/s, {writers} writers"][setup].append(rate)
                for setup in order:
                    await _set_up(connection, setup, columns[0])
                    began = time.perf_counter()
                    await connection.execute(BULK)
                    figures[f"UPDATE of {ROWS:,} rows, s"][setup].append(time.perf_counter() - began)
    return {what: dict(by_setup) for what, by_setup in figures.items()}


async def _set_up(connection: psycopg.AsyncConnection, setup: str, columns: list[str]) -> None:
    for statement in SETUPS[setup]:
        await connection.execute(statement, {"columns": columns})
    # What the measurement before left behind is not to be paid for by this one.
    await connection.execute(f"VACUUM {TABLE}")
    await connection.execute("CHECKPOINT")


@contextmanager
def _hearing(url: str) -> Iterator[None]:
    """Have a session hear what is announced, as the listener does."""
    over = threading.Event()

    def hear() -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("LISTEN coherence")
            while not over.is_set():
                for _ in connection.notifies(timeout=0.1):
                    pass

    thread = threading.Thread(target=hear, name="hearing")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _table(figures: Figures) -> str:
    rows = []
    for what, by_setup in figures.items():
        middle = {setup: median(values) for setup, values in by_setup.items()}
        plain = middle["no trigger"]
        digits = 2 if plain < 100 else 0  # noqa: PLR2004 - seconds, or commits
        cells = [f"{value:,.{digits}f} ({value / plain:.2f})" for value in middle.values()]
        rows.append([what, *cells])
    return table(["", *SETUPS], rows)


WRITES = Section("writes", "What does it cost those who write?", _measure_all, render)
