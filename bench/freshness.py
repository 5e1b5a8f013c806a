"""How long after a COMMIT every process answers with the new row, and where that time goes."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from random import Random
from typing import Any

import psycopg

from bench.applied import FRESH, KEYS, STAGES, UPDATE, applied
from bench.asker import PATIENCE_SECONDS, Asker, give_up_after
from bench.figures import percentile, table
from bench.hearing import Hearing
from bench.sections import Advance, Section
from bench.servers import prepare, running
from bench.system import System, system
from bench.workload import STATUSES

ROWS = 20_000
PROCESSES = (1, 2, 4)
POSTGRES = {"synchronous_commit": "off", "shared_buffers": "256MB"}
ASKED = ("COMMIT to fresh, asked", "COMMIT to fresh answers")
AIM = {50: 1.0, 99: 3.0}


async def latencies(made: System, prefix: str, updates: int) -> dict[str, list[float]]:
    """Return, by stage, the milliseconds of each of so many updates of single rows, one after the other."""
    random = Random(1)
    found: dict[str, list[float]] = {stage: [] for stage in ASKED}
    async with AsyncExitStack() as stack:
        askers = [await stack.enter_async_context(Asker.of(replica.port)) for replica in made.replicas]
        hearing = await stack.enter_async_context(Hearing.of(made.servers.valkey.url, prefix))
        connection = await psycopg.AsyncConnection.connect(made.database_url, autocommit=True)
        await stack.enter_async_context(connection)
        keys = [str(row[0]) for row in await (await connection.execute(KEYS)).fetchall()]
        for _ in range(updates):
            times = await _one(connection, askers, hearing, random.choice(keys), random)
            for stage, seconds in zip(ASKED, times, strict=True):
                found[stage].append(1000 * seconds)
    return found


async def _one(
    connection: psycopg.AsyncConnection, askers: list[Asker], hearing: Hearing, key: str, random: Random
) -> tuple[float, float]:
    """Change a row that every process has in its own cache; return the seconds of each stage until all show it.

    They are asked when the message is heard, and again and again until they are fresh: since the request was sent that
    is answered with the new row, or longer.
    """
    was = [await asker.ask_until_kept(key) for asker in askers][-1]
    status = random.choice([each for each in STATUSES if each != was["status"]])
    heard = hearing.next()
    await connection.execute(UPDATE, (status, key))
    committed = time.monotonic()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await heard
    deadline = time.monotonic() + PATIENCE_SECONDS
    fresh = await asyncio.gather(*(_until(asker, key, status, deadline) for asker in askers))
    return max(fresh) - committed, time.monotonic() - committed


async def _until(asker: Asker, key: str, status: str, deadline: float) -> float:
    """Ask until the answer has that status; return when the request was sent that was answered so."""
    while True:
        sent = time.monotonic()
        if (await asker.ask(key))[1]["status"] == status:
            return sent
        give_up_after(deadline, "a change")


def summary(milliseconds: list[float]) -> dict[str, float]:
    """Return p50, p99 and the worst."""
    ordered = sorted(milliseconds)
    return {"p50": percentile(ordered, 50), "p99": percentile(ordered, 99), "max": ordered[-1]}


async def _measure(quick: bool, advance: Advance) -> dict[str, Any]:
    updates = 100 if quick else 1000
    found = {}
    with running(POSTGRES) as servers:
        await prepare(servers.postgres, ROWS)
        for processes in PROCESSES:
            advance(f"{processes} processes")
            by_stage = await applied(servers, f"noted_{processes}", processes, updates)
            name = f"asked_{processes}"
            async with system(servers, name, {}, replicas=({},) * processes) as made:
                by_stage |= await latencies(made, f"{name}:", updates)
            found[processes] = {stage: summary(times) for stage, times in by_stage.items()}
    return {"updates": updates, "processes": found}


def render(result: Mapping[str, Any]) -> str:
    """Return the tables in Markdown."""
    aims = "; ".join(f"p{percent} ≤ {aim:g} ms: {_verdict(result, percent, aim)}" for percent, aim in AIM.items())
    why = " The stages say where the time goes; processes beyond the processors wait." if "missed" in aims else ""
    return (
        f"{result['updates']:,} updates of single rows, one after the other, by a direct connection. Every process\n"
        "has the row in its own memory, and notes when it has applied the change, after which it serves nothing\n"
        "older; all clocks are the machine's. Nobody asks meanwhile; afterwards each is asked once, and answers with\n"
        "the new row. *Fresh* is the last of them. A bump may come before the COMMIT has returned: a negative time.\n\n"
        f"{_table(result, STAGES)}\n"
        f"Aimed at, {FRESH}, {aims}.{why}\n\n"
        "The same, seen from outside: each process is asked when the message of the change has been heard beside it,\n"
        "and again until it answers with the new row; it is fresh since that request was sent, at the latest. Who\n"
        "asks needs the processors, too. The *answer* takes a read of Postgres besides.\n\n"
        f"{_table(result, ASKED)}"
    )


def _table(result: Mapping[str, Any], stages: Sequence[str]) -> str:
    rows = [
        [f"{processes}, {stage}", *(f"{by_stage[stage][figure]:.2f}" for figure in ("p50", "p99", "max"))]
        for processes, by_stage in result["processes"].items()
        for stage in stages
    ]
    return table(["processes, stage", "p50 ms", "p99 ms", "max ms"], rows)


def _verdict(result: Mapping[str, Any], percent: int, aim: float) -> str:
    missed = [name for name, by_stage in result["processes"].items() if by_stage[FRESH][f"p{percent}"] > aim]
    return f"**missed** with {' and '.join(map(str, missed))} processes" if missed else "met"


FRESHNESS = Section("freshness", "How soon after a COMMIT is every process fresh?", _measure, render)
