"""`python -m bench.freshness`: how long after a COMMIT every replica answers with the new row."""

import asyncio
import json
import time
from dataclasses import asdict, dataclass
from random import Random

import click
import psycopg
import uvloop
from rich.progress import Progress

from bench.client import Connection, connect, header, request
from bench.errors import BenchError
from bench.figures import machine, percentile, store, table
from bench.servers import prepare, running
from bench.system import system
from bench.workload import STATUSES

ROWS = 20_000
MODES = ("rows", "namespace")
PATIENCE_SECONDS = 5.0
POSTGRES = {"synchronous_commit": "off", "shared_buffers": "256MB"}
UPDATE = "UPDATE public.anomalies SET status = %s, updated_at = clock_timestamp() WHERE transaction_id = %s"


@dataclass(frozen=True, slots=True)
class Latencies:
    """Milliseconds from the return of a COMMIT to the first fresh answer, of every replica."""

    mode: str
    p50: float
    p99: float
    worst: float
    updates: int


class Asker:
    """Asks one replica, one request after the other."""

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


@click.command()
@click.option("--updates", default=1000, show_default=True, help="How many commits.")
@click.option("--name", default="freshness", show_default=True, help="What the files of the result are called.")
def main(updates: int, name: str) -> None:
    """Commit row by row, and ask two replicas without pause until both show it."""
    before = machine()
    with Progress() as progress:
        found = uvloop.run(_measure(updates, progress))
    text = f"COMMIT to a fresh answer of both replicas, over {updates:,} updates of single rows:\n\n" + table(
        ["mode", "p50 ms", "p99 ms", "max ms"],
        [[each.mode, f"{each.p50:.2f}", f"{each.p99:.2f}", f"{each.worst:.2f}"] for each in found],
    )
    document = {"machine": before, "latencies": [asdict(each) for each in found]}
    click.echo(f"\n{text}\n{store(name, document, text)}")


async def _measure(updates: int, progress: Progress) -> list[Latencies]:
    found = []
    with running(POSTGRES) as servers:
        await prepare(servers.postgres, ROWS)
        for mode in MODES:
            task = progress.add_task(mode, total=updates)
            async with system(servers, f"fresh_{mode}", {"CACHE_INVALIDATION": mode}) as made:
                askers = [Asker() for _ in made.replicas]
                for asker, replica in zip(askers, made.replicas, strict=True):
                    await asker.open(replica.port)
                async with await psycopg.AsyncConnection.connect(made.database_url, autocommit=True) as connection:
                    keys = await (await connection.execute("SELECT transaction_id FROM public.anomalies")).fetchall()
                    random = Random(1)
                    times = []
                    for _ in range(updates):
                        times.append(await _one(connection, askers, str(random.choice(keys)[0]), random))
                        progress.advance(task)
                for asker in askers:
                    asker.close()
            times.sort()
            found.append(Latencies(mode, percentile(times, 50), percentile(times, 99), times[-1], updates))
    return found


async def _one(connection: psycopg.AsyncConnection, askers: list[Asker], key: str, random: Random) -> float:
    """Change one row that every replica has in its own cache; return the milliseconds until all show the change."""
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
    await connection.execute(UPDATE, (status, key))
    committed = time.monotonic()
    await asyncio.gather(*(_until(asker, wire, status, committed + PATIENCE_SECONDS) for asker in askers))
    return 1000 * (time.monotonic() - committed)


async def _until(asker: Asker, wire: bytes, status: str, deadline: float) -> None:
    while json.loads((await asker.ask(wire))[1])["status"] != status:
        _check(deadline, "a change")


def _check(deadline: float, what: str) -> None:
    if time.monotonic() > deadline:
        raise BenchError(f"{what} is not there after {PATIENCE_SECONDS:g} s")


if __name__ == "__main__":
    main()
