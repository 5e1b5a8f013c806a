"""What announcing changes costs one statement that changes many rows."""

import time
from collections.abc import Mapping
from statistics import median

import psutil
import psycopg

from anomaly_cache.demo.servers import Servers
from bench.figures import table
from bench.sections import Advance
from bench.servers import copy, drop
from bench.watching import PLAIN, SETUPS, columns_of, hearing, order, set_up

AIM = 1.05
NAME = "bulk"
UPDATE = "UPDATE public.anomalies SET updated_at = now()"
WARM = "SELECT count(*), sum(hashtext(a::text)) FROM public.anomalies AS a"
"""Reads all of it, that the disk need not be waited for."""

Bulk = dict[str, list[dict[str, float]]]
"""By setup: the seconds that each round's UPDATE took, and its session's processor time."""


async def measure(servers: Servers, rounds: int, advance: Advance) -> Bulk:
    """Update every row, in a database of its own each time: none finds what another has left behind."""
    found: Bulk = {setup: [] for setup in SETUPS}
    for number in range(rounds):
        advance(f"UPDATE of all rows, round {number + 1} of {rounds}")
        for setup in order(number):
            await copy(servers.postgres, NAME)
            found[setup].append(await _once(servers.postgres.url_for(NAME), setup))
            await drop(servers.postgres, NAME)
    return found


async def _once(url: str, setup: str) -> dict[str, float]:
    with hearing(url):
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            await set_up(connection, setup, await columns_of(connection))
            await connection.execute(WARM)
            await connection.execute("CHECKPOINT")
            session = psutil.Process(connection.info.backend_pid)
            used, began = session.cpu_times(), time.perf_counter()
            await connection.execute(UPDATE)
            seconds, after = time.perf_counter() - began, session.cpu_times()
    return {"seconds": seconds, "cpu": after.user + after.system - used.user - used.system}


def render(by_kind: Mapping[str, Bulk], rows: int) -> str:
    """Return the table in Markdown, and whether what was aimed at was met."""
    kinds = {f"{setup}, {kind}": (bulk[setup], bulk[PLAIN]) for kind, bulk in by_kind.items() for setup in SETUPS}
    ratios = {name: _ratios(measured, plain, "seconds") for name, (measured, plain) in kinds.items()}
    lines = [
        [
            name,
            f"{median(each['seconds'] for each in measured):.2f}",
            f"{median(ratios[name]):.2f}",
            f"{min(ratios[name]):.2f} to {max(ratios[name]):.2f}",
            f"{median(_ratios(measured, plain, 'cpu')):.2f}",
        ]
        for name, (measured, plain) in kinds.items()
    ]
    rounds = len(next(iter(kinds.values()))[0])
    met = all(median(each) <= AIM for each in ratios.values())
    verdict = "met" if met else "**missed** (Postgres keeps the changed rows for the triggers)"
    return (
        f"One UPDATE of {rows:,} rows, each in a fresh copy of the database, after a CHECKPOINT: medians of {rounds}\n"
        "rounds. The ratios are those to no trigger within a round; the processor time is that of the session.\n\n"
        f"{table(['', 'seconds', 'ratio', 'from … to', 'ratio of processor time'], lines)}\n"
        f"Aimed at: ≤ {AIM:g} × that without triggers, {verdict}.\n"
    )


def _ratios(measured: list[dict[str, float]], plain: list[dict[str, float]], figure: str) -> list[float]:
    return [ours[figure] / theirs[figure] for ours, theirs in zip(measured, plain, strict=True)]
