"""How long after a COMMIT every process answers with the new row, and where that time goes."""

import asyncio
import json
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from random import Random
from typing import Any

import psycopg

from bench.client import Connection, connect, header, request
from bench.errors import BenchError
from bench.figures import percentile, table
from bench.hearing import Hearing
from bench.sections import Advance, Section
from bench.servers import prepare, running
from bench.system import System, system
from bench.workload import STATUSES

ROWS = 20_000
PROCESSES = (1, 2, 4)
PATIENCE_SECONDS = 5.0
POSTGRES = {"synchronous_commit": "off", "shared_buffers": "256MB"}
UPDATE = "UPDATE public.anomalies SET status = %s, updated_at = clock_timestamp() WHERE transaction_id = %s"
KEYS = "SELECT transaction_id FROM public.anomalies ORDER BY transaction_id LIMIT 20000"
FRESH = "COMMIT to fresh"
STAGES = ("COMMIT to bump", "bump to message", FRESH, "COMMIT to fresh answers")
AIM = {50: 1.0, 99: 3.0}


class Asker:
    """Asks one process, one request after the other."""

    def __init__(self) -> None:
        self._answer: asyncio.Future[tuple[bytes, bytes]]
        self._connection: Connection

    async def open(self, port: int) -> None:
        """Connect."""
        self._connection = await connect(port, self._answered, self._failed)

    async def ask(self, wire: bytes) -> tuple[bytes, bytes]:
        """Return the head and the body of an answer."""
        self._answer = asyncio.get_running_loop().create_future()
        self._connection.send(wire)
        return await self._answer

    def close(self) -> None:
        """Disconnect."""
        self._connection.close()

    def _answered(self, _: Connection, head: bytes, body: bytes) -> None:
        self._answer.set_result((head, body))

    def _failed(self, error: Exception) -> None:
        self._answer.set_exception(error)


async def latencies(made: System, prefix: str, updates: int) -> dict[str, list[float]]:
    """Return, by stage, the milliseconds of each of so many updates of single rows, one after the other."""
    random = Random(1)
    found: dict[str, list[float]] = {stage: [] for stage in STAGES}
    async with AsyncExitStack() as stack:
        askers = [Asker() for _ in made.replicas]
        for asker, replica in zip(askers, made.replicas, strict=True):
            await asker.open(replica.port)
            stack.callback(asker.close)
        hearing = await stack.enter_async_context(Hearing.of(made.servers.valkey.url, prefix))
        connection = await psycopg.AsyncConnection.connect(made.database_url, autocommit=True)
        await stack.enter_async_context(connection)
        keys = [str(row[0]) for row in await (await connection.execute(KEYS)).fetchall()]
        for _ in range(updates):
            times = await _one(connection, askers, hearing, random.choice(keys), random)
            for stage, seconds in zip(STAGES, times, strict=True):
                found[stage].append(1000 * seconds)
    return found


async def _one(
    connection: psycopg.AsyncConnection, askers: list[Asker], hearing: Hearing, key: str, random: Random
) -> tuple[float, float, float, float]:
    """Change a row that every process has in its own cache; return the seconds of each stage until all show it.

    They are asked when the message is heard, and again and again until they are fresh: since the request was sent that
    is answered with the new row, or longer.
    """
    wire = request(f"/api/v1/anomalies/{key}")
    was = ""
    for asker in askers:
        deadline = time.monotonic() + PATIENCE_SECONDS
        layer = b""
        while layer != b"l1":
            head, body = await asker.ask(wire)
            layer = header(head, b"cache-status").rpartition(b"detail=")[2]
            was = json.loads(body)["status"]
            _check(deadline, key)
    status = random.choice([each for each in STATUSES if each != was])
    next_bump = hearing.next()
    await connection.execute(UPDATE, (status, key))
    committed = time.time()
    async with asyncio.timeout(PATIENCE_SECONDS):
        bump, heard = await next_bump
    deadline = time.monotonic() + PATIENCE_SECONDS
    fresh = await asyncio.gather(*(_until(asker, wire, status, deadline) for asker in askers))
    return bump - committed, heard - bump, max(fresh) - committed, time.time() - committed


async def _until(asker: Asker, wire: bytes, status: str, deadline: float) -> float:
    """Ask until the answer has that status; return when the request was sent that was answered so."""
    while True:
        sent = time.time()
        if json.loads((await asker.ask(wire))[1])["status"] == status:
            return sent
        _check(deadline, "a change")


def _check(deadline: float, what: str) -> None:
    if time.monotonic() > deadline:
        raise BenchError(f"{what} is not there after {PATIENCE_SECONDS:g} s")


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
            name = f"fresh_{processes}"
            async with system(servers, name, {}, replicas=({},) * processes) as made:
                by_stage = await latencies(made, f"{name}:", updates)
                found[processes] = {stage: summary(times) for stage, times in by_stage.items()}
    return {"updates": updates, "processes": found}


def render(result: Mapping[str, Any]) -> str:
    """Return the table in Markdown."""
    rows = [
        [f"{processes}, {stage}", *(f"{times[figure]:.2f}" for figure in ("p50", "p99", "max"))]
        for processes, by_stage in result["processes"].items()
        for stage, times in by_stage.items()
    ]
    aims = ", ".join(
        f"p{percent} {'met' if _all_within(result, percent, aim) else '**missed**'} (≤ {aim:g} ms)"
        for percent, aim in AIM.items()
    )
    why = "" if "missed" not in aims else " The stages say where the time goes; processes beyond the processors wait."
    return (
        f"{result['updates']:,} updates of single rows, one after the other, by a direct connection.\n"
        "Every process has the row in its L1, and is asked when the message of the change has been heard beside\n"
        "it, and again until it answers with the new row: it is *fresh* since that request was sent, at the latest.\n"
        "The *answer* takes a read of Postgres besides. A bump may come before the COMMIT has returned: a negative\n"
        "time.\n\n"
        f"{table(['processes, stage', 'p50 ms', 'p99 ms', 'max ms'], rows)}\n"
        f"Aimed at, {FRESH}: {aims}.{why}\n"
    )


def _all_within(result: Mapping[str, Any], percent: int, aim: float) -> bool:
    return all(by_stage[FRESH][f"p{percent}"] <= aim for by_stage in result["processes"].values())


FRESHNESS = Section("freshness", "How soon after a COMMIT is every process fresh?", _measure, render)
