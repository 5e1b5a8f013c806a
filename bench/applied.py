"""How long after a COMMIT every process has applied the change, by the processes' own notes: nobody asks meanwhile."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import psycopg

from anomaly_cache.demo.servers import Servers
from bench.asker import PATIENCE_SECONDS, Asker, give_up_after
from bench.errors import BenchError
from bench.notes import Note, Notes
from bench.system import System, system
from bench.workload import STATUSES

LOOK_SECONDS = 0.005
"""How long after a COMMIT the notes are looked at, again and again: looking takes time from those who apply."""
UPDATE = "UPDATE public.anomalies SET status = %s, updated_at = clock_timestamp() WHERE transaction_id = %s"
KEYS = "SELECT transaction_id FROM public.anomalies ORDER BY transaction_id LIMIT 20000"
FRESH = "COMMIT to fresh"
STAGES = ("COMMIT to bump", "bump to first process", "bump to last process", FRESH)


async def applied(servers: Servers, name: str, processes: int, updates: int) -> dict[str, list[float]]:
    """Return, by stage, the milliseconds of each of so many updates, on so many processes of their own.

    Raises BenchError where a process that has noted a change answers with what was before.
    """
    with TemporaryDirectory(prefix="anomaly-cache-bench-notes-") as directory:
        paths = [Path(directory) / str(number) for number in range(processes)]
        replicas = [{"BENCH_NOTES": str(path)} for path in paths]
        async with system(servers, name, {}, replicas=replicas, api="bench.noted") as made:
            return await _latencies(made, [Notes(path) for path in paths], updates)


async def _latencies(made: System, notes: Sequence[Notes], updates: int) -> dict[str, list[float]]:
    random = Random(1)
    found: dict[str, list[float]] = {stage: [] for stage in STAGES}
    async with AsyncExitStack() as stack:
        askers = [await stack.enter_async_context(Asker.of(replica.port)) for replica in made.replicas]
        connection = await psycopg.AsyncConnection.connect(made.database_url, autocommit=True)
        await stack.enter_async_context(connection)
        keys = [str(row[0]) for row in await (await connection.execute(KEYS)).fetchall()]
        for _ in range(updates):
            times = await _one(connection, askers, notes, random.choice(keys), random)
            for stage, seconds in zip(STAGES, times, strict=True):
                found[stage].append(1000 * seconds)
    return found


async def _one(
    connection: psycopg.AsyncConnection, askers: Sequence[Asker], notes: Sequence[Notes], key: str, random: Random
) -> tuple[float, float, float, float]:
    """Change a row that every process has in its own cache; return the seconds of each stage.

    Afterwards each process is asked once, and has to answer with the new row.
    """
    was = [await asker.ask_until_kept(key) for asker in askers][-1]
    status = random.choice([each for each in STATUSES if each != was["status"]])
    for each in notes:
        list(each.new())
    await connection.execute(UPDATE, (status, key))
    committed, wall = time.monotonic(), time.time()
    taken = await _taken(notes)
    for asker in askers:
        if (await asker.ask(key))[1]["status"] != status:
            raise BenchError("a process that had applied a change answered with what was before")
    bumped = committed + taken[0].made_at - wall
    at = [note.applied_at for note in taken]
    return bumped - committed, min(at) - bumped, max(at) - bumped, max(at) - committed


async def _taken(notes: Sequence[Notes]) -> list[Note]:
    """Return each process' note of the one change that was made."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    taken: list[list[Note]] = [[] for _ in notes]
    while not all(taken):
        give_up_after(deadline, "a change")
        await asyncio.sleep(LOOK_SECONDS)
        for known, each in zip(taken, notes, strict=True):
            known.extend(each.new())
    if {note.generation for known in taken for note in known} != {taken[0][0].generation}:
        raise BenchError("something else changed, too")
    return [known[0] for known in taken]
