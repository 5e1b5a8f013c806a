"""`python -m bench.writes`: what announcing changes costs those who write."""

import asyncio
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import click
import psycopg
from rich.progress import Progress

from anomaly_cache.demo.servers import Servers
from bench.figures import machine, store, table
from bench.pgbench import KEYS, commits_per_second
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
BULK = "UPDATE public.anomalies SET updated_at = now()"
DURABLE = {"fsync": "on", "synchronous_commit": "on"}
LAX = {"fsync": "off", "synchronous_commit": "off"}
POSTGRES = {"shared_buffers": "256MB", "max_wal_size": "4GB", "autovacuum": "off"}

Figures = dict[str, dict[str, list[float]]]
"""By what was measured and by setup: the rounds' values."""


@click.command()
@click.option("--rounds", default=5, show_default=True, help="How often each is measured, all taking turns.")
@click.option("--seconds", default=3, show_default=True, help="How long one measurement of commits lasts.")
@click.option("--name", default="writes", show_default=True, help="What the files of the result are called.")
def main(rounds: int, seconds: int, name: str) -> None:
    """Measure commits per second and a bulk UPDATE without triggers, and with those of both modes."""
    before = machine()
    figures: dict[str, Figures] = {}
    with Progress() as progress:
        for kind, settings in (("durable", DURABLE), ("not waiting for the disk", LAX)):
            total = rounds * len(SETUPS) * (len(WRITERS) + 1)
            task = progress.add_task(f"commits {kind}", total=total)
            with running({**POSTGRES, **settings}) as servers:
                figures[kind] = asyncio.run(_measure(servers, rounds, seconds, partial(progress.advance, task)))
    intro = f"Medians of {rounds} rounds of {seconds} s; in brackets the ratio to no trigger. One session LISTENs.\n\n"
    text = intro + "\n".join(f"Commits {kind}:\n\n{_table(each)}" for kind, each in figures.items())
    document: dict[str, Any] = {"machine": before, "rounds": rounds, "seconds": seconds, "figures": figures}
    path = store(name, document, text)
    click.echo(f"\n{text}\n{path}")


async def _measure(servers: Servers, rounds: int, seconds: int, advance: Callable[[], None]) -> Figures:
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
                for writers in WRITERS:
                    for setup in order:
                        await _set_up(connection, setup, columns[0])
                        rate = await commits_per_second(
                            url, writers=writers, seconds=seconds, rows=ROWS, directory=Path(name)
                        )
                        figures[f"commits/s, {writers} writers"][setup].append(rate)
                        advance()
                for setup in order:
                    await _set_up(connection, setup, columns[0])
                    began = time.perf_counter()
                    await connection.execute(BULK)
                    figures[f"UPDATE of {ROWS:,} rows, s"][setup].append(time.perf_counter() - began)
                    advance()
    return figures


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


if __name__ == "__main__":
    main()
