"""`python -m bench.hit_rate`: what a write costs the cache, in both modes of invalidation, on the real system."""

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import uvloop
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from bench.cell import START_SECONDS, Cell, Load, measure
from bench.figures import machine, store, table
from bench.plot import Series, plot
from bench.servers import prepare, running

ROWS = 20_000
MODES = ("rows", "namespace")
PLOT = Path(__file__).parents[1] / "docs" / "img" / "hit-rate.svg"
# A commit that waits for a disk says much of the disk. `bench.writes` measures those.
POSTGRES = {"synchronous_commit": "off", "shared_buffers": "256MB"}


@click.command()
@click.option("--updates", "rates", default="0,1,10,100,1000", help="Row updates per second, by commas.")
@click.option("--mode", "modes", multiple=True, type=click.Choice(MODES), default=MODES, help="CACHE_INVALIDATION.")
@click.option("--reads", default=2000.0, show_default=True, help="Reads per second, of both replicas together.")
@click.option("--seconds", default=15.0, show_default=True, help="How long each combination is measured.")
@click.option("--warm-up", default=5.0, show_default=True, help="Seconds before that.")
@click.option("--queries", default=200, show_default=True, help="How many different queries there are.")
@click.option("--limit", default=20, show_default=True, help="Rows per page.")
@click.option("--inserts", default=0.01, show_default=True, help="Share of the updates that are new rows instead.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="A setting of the programs.")
@click.option("--name", default="hit-rate", show_default=True, help="What the files of the result are called.")
@click.option("--plot/--no-plot", "plotted", default=True, help="Draw docs/img/hit-rate.svg.")
def main(rates: str, modes: tuple[str, ...], name: str, plotted: bool, settings: tuple[str, ...], **load: Any) -> None:
    """Measure the hit rate of the real system under writes, and check every answer against a replay of all writes."""
    offered = Load(**load, settings=dict(each.split("=", 1) for each in settings))
    plan = [(mode, float(rate)) for rate in rates.split(",") for mode in modes]
    before = machine()
    cells = uvloop.run(_measure(plan, offered))
    text = tables(cells, offered)
    path = store(name, {"machine": before, "load": asdict(offered), "cells": [asdict(cell) for cell in cells]}, text)
    if plotted:
        PLOT.parent.mkdir(parents=True, exist_ok=True)
        PLOT.write_text(plot("Hit rate by row updates per second", [_series(cells, mode) for mode in modes]))
    click.echo(f"\n{text}\n{path}")


async def _measure(plan: list[tuple[str, float]], load: Load) -> list[Cell]:
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    each = START_SECONDS + load.warm_up + load.seconds
    cells = []
    with running(POSTGRES) as servers, Progress(*columns) as progress:
        task = progress.add_task(f"{ROWS:,} anomalies", total=each * len(plan))
        await prepare(servers.postgres, ROWS)
        for number, (mode, updates) in enumerate(plan):
            progress.update(task, description=f"{mode}, {updates:g} updates/s", completed=each * number)
            began = asyncio.get_running_loop().time()

            def tick(done: float = each * number, began: float = began) -> None:
                progress.update(task, completed=done + asyncio.get_running_loop().time() - began)

            cell = await measure(servers, f"cell_{number}", mode, updates, load, tick)
            cells.append(cell)
            progress.console.print(
                f"{mode} at {updates:g}/s: {cell.hit_rate:.1%} of {cell.reads_reached:,.0f} reads/s, "
                f"{cell.violations} of {cell.reads_checked:,} answers wrong"
            )
        progress.update(task, completed=each * len(plan))
    return cells


def tables(cells: list[Cell], load: Load) -> str:
    """Return the result in Markdown."""
    wide = table(
        [
            "mode, updates/s",
            "hit rate",
            "ceiling",
            "L1",
            "L2",
            "joined",
            "Postgres reads/s",
            "reads/s",
            "p50 ms",
            "p99 ms",
            "wrong answers",
        ],
        [
            [
                f"{cell.mode}, {cell.updates:g}",
                f"{cell.hit_rate:.1%}",
                f"{cell.ceiling:.1%}",
                f"{cell.l1:.1%}",
                f"{cell.l2:.1%}",
                f"{cell.joined:.1%}",
                f"{cell.postgres_queries:,.1f}",
                f"{cell.reads_reached:,.0f}",
                f"{cell.read_p50_ms:.2f}",
                f"{cell.read_p99_ms:.2f}",
                f"{cell.violations} of {cell.reads_checked:,}",
            ]
            for cell in cells
        ],
    )
    more = table(
        [
            "mode, updates/s",
            "updates/s reached",
            "spared/s",
            "dropped/s",
            "loads that found a change",
            "oldest state shown, ms",
            "rows forgotten/s",
            "failed reads",
            "processors used by",
        ],
        [
            [
                f"{cell.mode}, {cell.updates:g}",
                f"{cell.updates_reached:,.1f}",
                f"{cell.spared:,.1f}",
                f"{cell.dropped:,.1f}",
                f"{cell.changed:.1%}",
                f"{cell.oldest_ms:,.1f}",
                f"{cell.rows_forgotten:,.1f}",
                f"{cell.failures}",
                ", ".join(f"{name} {busy:.2f}" for name, busy in cell.cpu.items()),
            ]
            for cell in cells
        ],
    )
    return (
        f"Offered: {load.reads:,g} reads/s of {load.queries} queries (Zipf 1.0, {load.limit} rows a page) "
        f"on 2 replicas and {ROWS:,} rows; of the updates, {load.inserts:.0%} are inserts. {load.seconds:g} s each.\n"
        f"Times are from when a read was due to its last byte: a queue counts.\n\n{wide}\n{more}"
    )


def _series(cells: list[Cell], mode: str) -> Series:
    return Series(mode, [(cell.updates, cell.hit_rate) for cell in cells if cell.mode == mode])


if __name__ == "__main__":
    main()
