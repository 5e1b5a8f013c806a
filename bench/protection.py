"""What Postgres sees, and what readers get, when the cache is off and far more is asked than Postgres can answer."""

import asyncio
import os
import time
from collections import Counter, deque
from collections.abc import Mapping
from typing import Any

import psutil
import psycopg

from bench.client import Connection, ask, connect, header, request
from bench.errors import BenchError
from bench.figures import percentile, table
from bench.pinning import Pinning, pin, processor_seconds, processors, unpin
from bench.sections import Advance, Section
from bench.servers import prepare, running
from bench.system import System, system

ROWS = 20_000
OFFERED = 2000
"""Requests per second, each for another page."""

CONNECTIONS = 3000
AT_ONCE = 100
MOST_LOADS = 8
PATIENCE_SECONDS = 60.0
LOW_PRIORITY = 15
SLOW = "slow"
POSTGRES = {"shared_buffers": "256MB"}
PROMISED_SECONDS = 4.0
"""A place is waited for 2 s, and a statement given up after 1.75 s: every answer comes within these."""

_SEEN = """
SELECT count(*) FROM pg_stat_activity
 WHERE application_name = 'anomaly-cache-api' AND state = 'active' AND query LIKE '%FROM public.anomalies%'
   AND query_start <= statement_timestamp()
"""
"""Those at work when it began to count: each is looked at a little later than the one before."""


class Offer:
    """Sends requests when they are due, whether earlier ones were answered or not.

    Where no connection is free, a request waits for one; its time counts from when it was due.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[Connection] = []
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._due: dict[Connection, float] = {}
        self.answers: Counter[str] = Counter()
        self.seconds: list[float] = []
        self.broken = 0
        self.without_retry = 0

    async def open(self) -> None:
        """Connect, a few at a time: more at once than a socket's backlog holds would hang for minutes."""
        for _ in range(CONNECTIONS // AT_ONCE):
            some = (connect(self._port, self._answered, self._failed) for _ in range(AT_ONCE))
            self._idle += await asyncio.gather(*some)

    async def send(self, seconds: float) -> int:
        """Offer the load for so long, and wait for the answers; return how many requests that were."""
        began = time.monotonic()
        sent = 0
        while (now := time.monotonic()) - began < seconds:
            while sent < (now - began) * OFFERED:
                wire = request(f"/api/v1/anomalies?limit=20&offset={sent}")
                self._waiting.append((began + sent / OFFERED, wire))
                sent += 1
            self._send()
            await asyncio.sleep(0.001)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self._due:
            if time.monotonic() > deadline:
                raise BenchError(f"{len(self._due)} requests are not answered after {PATIENCE_SECONDS:g} s")
            await asyncio.sleep(0.01)
        return sent

    def close(self) -> None:
        """Disconnect."""
        for connection in self._idle:
            connection.close()

    def _send(self) -> None:
        while self._idle and self._waiting:
            connection = self._idle.pop()
            due, wire = self._waiting.popleft()
            self._due[connection] = due
            connection.send(wire)

    def _answered(self, connection: Connection, head: bytes, _: bytes) -> None:
        status = head[9:12].decode()
        self.answers[status] += 1
        self.seconds.append(time.monotonic() - self._due.pop(connection))
        self.without_retry += status == "503" and not header(head, b"retry-after")
        self._idle.append(connection)
        self._send()

    def _failed(self, _: Exception) -> None:
        self.broken += 1


async def watch(url: str, seen: list[int]) -> None:
    """Note, again and again, how many loads Postgres has at work."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        while True:
            row = await (await connection.execute(_SEEN)).fetchone()
            assert row is not None  # noqa: S101 - count(*) has one
            seen.append(row[0])
            await asyncio.sleep(0.01)


async def _without_lease(made: System) -> None:
    """End the listener, and wait until the replica has no lease any more."""
    made.listener.child.kill()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while b'"degraded"' not in (await ask(made.replicas[0].port, request("/readyz")))[1]:
        if time.monotonic() > deadline:
            raise BenchError("the lease does not end")
        await asyncio.sleep(0.1)


async def _offer(made: System, seconds: float) -> dict[str, Any]:
    offer, seen = Offer(made.replicas[0].port), list[int]()
    process = psutil.Process(made.replicas[0].child.pid)
    watching = asyncio.create_task(watch(made.database_url, seen))
    try:
        await offer.open()
        used = processor_seconds(process)
        sent = await offer.send(seconds)
        used = processor_seconds(process) - used
    finally:
        offer.close()
        watching.cancel()
    if offer.broken:
        raise BenchError(f"{offer.broken} connections broke")
    ordered = sorted(offer.seconds)
    return {
        "sent": sent,
        "seconds": seconds,
        "answers": dict(offer.answers),
        "without_retry_after": offer.without_retry,
        "p50": percentile(ordered, 50),
        "p99": percentile(ordered, 99),
        "max": ordered[-1],
        "cpu": 1e6 * used / sent,
        "most_loads_seen": max(seen),
        "looks": len(seen),
    }


async def _measure(quick: bool, advance: Advance) -> dict[str, Any]:
    before = processors()
    pinning = pin()
    try:
        return await _pinned(pinning, 5.0 if quick else 20.0, advance)
    finally:
        unpin(before)


async def _pinned(pinning: Pinning, seconds: float, advance: Advance) -> dict[str, Any]:
    settings = {"DB_POOL_SIZE": str(MOST_LOADS + 2), "DB_MAX_CONCURRENT_LOADS": str(MOST_LOADS)}
    with running(POSTGRES) as servers:
        await prepare(servers.postgres, ROWS)
        # It would be on a machine of its own: its queries must not keep the client from asking in time.
        os.setpriority(os.PRIO_PROCESS, servers.postgres.child.pid, LOW_PRIORITY)
        async with system(servers, "protected", {}, replicas=(settings,), served=pinning.served()) as made:
            await _without_lease(made)
            advance(f"{OFFERED:,} requests a second without a lease")
            usual = await _offer(made, seconds)
            advance("the same, while the table is locked")
            async with await psycopg.AsyncConnection.connect(made.database_url) as connection:
                await connection.execute("LOCK TABLE anomalies")
                locked = await _offer(made, seconds / 2)
    return {"offered": OFFERED, "most_loads": MOST_LOADS, "usual": usual, "locked": locked}


def render(result: Mapping[str, Any]) -> str:
    """Return the table in Markdown."""
    rows = []
    for title, each in (("as ever", result["usual"]), ("table locked", result["locked"])):
        answers = each["answers"]
        rows.append(
            [
                title,
                f"{each['sent']:,}",
                f"{answers.get('200', 0):,}",
                f"{answers.get('503', 0):,}",
                f"{sum(answers.values()) - answers.get('200', 0) - answers.get('503', 0):,}",
                *(f"{each[figure]:.2f}" for figure in ("p50", "p99", "max")),
                f"{each['cpu']:,.0f}",
                str(each["most_loads_seen"]),
            ]
        )
    head = ["Postgres", "sent", "200", "503", "other", "p50 s", "p99 s", "max s", "CPU µs", "loads seen at once"]
    kept = max(each["most_loads_seen"] for each in (result["usual"], result["locked"])) <= result["most_loads"]
    worst = max(each["max"] for each in (result["usual"], result["locked"]))
    asked = sum(each["without_retry_after"] for each in (result["usual"], result["locked"]))
    return (
        f"One API process whose lease is gone, and {result['offered']:,} requests a second, each for another page,\n"
        f"sent when they are due; `DB_MAX_CONCURRENT_LOADS={result['most_loads']}`. Postgres was asked\n"
        f"{result['usual']['looks'] + result['locked']['looks']:,} times what it had to do (`pg_stat_activity`): "
        f"{'never more than that' if kept else '**more than that**'}. Of the 503s, {asked} had no `Retry-After`.\n\n"
        f"{table(head, rows)}\n"
        f"Promised, each answer within {PROMISED_SECONDS:g} s: {'met' if worst <= PROMISED_SECONDS else '**missed**'}. "
        "Times are from when a request was due, so that\n"
        "the client's own lateness is in them. The API has a processor of its own, where there are two; Postgres has\n"
        "the lowest priority on the other, for it would be elsewhere.\n"
    )


PROTECTION = Section("protection", "Does Postgres bear it while the cache is off?", _measure, render)
