"""Reading one's own write: a PUT, and a read sent the moment that its 200 is there."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import NamedTuple

import pytest

from bench.client import OK, header
from coherence.clock import monotonic
from tests.acceptance.conftest import fill
from tests.acceptance.system import ANOMALIES
from tests.chaos.fleet import Fleet, MakeFleet
from tests.chaos.readers import Line
from tests.chaos.report import Record, Report
from tests.support.processes import ANALYST_KEY

PUTS = 10_000
FEWER = 1_000
FEWEST = 160
"""Where each PUT waits for a Redis that is not there."""
WRITERS = 8
STATUSES = ("INVESTIGATING", "INVESTIGATED", "CONFIRMED", "DISMISSED")


class Put(NamedTuple):
    """A PUT that was answered: the status that it set, and its Cache-Generation, empty where there was none."""

    status: str
    generation: bytes


def wire(method: str, path: str, *, body: bytes = b"", generation: bytes = b"") -> bytes:
    """Return the bytes of a request."""
    lines = [f"{method} {path} HTTP/1.1", "host: chaos", f"x-api-key: {ANALYST_KEY}"]
    if generation:
        lines.append(f"cache-generation: {generation.decode()}")
    if body:
        lines += ["content-type: application/json", f"content-length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


@dataclass
class Client:
    """One row of a client's own, which it changes through replica 0, and a line to each replica."""

    path: str
    lines: list[Line]
    changes: int = 0

    async def put(self) -> Put:
        """Set another status."""
        self.changes += 1
        status = STATUSES[self.changes % len(STATUSES)]
        body = json.dumps({"new_status": status}).encode()
        head, answer = await self.lines[0].exchange(wire("PUT", self.path, body=body))
        assert head.startswith(OK), answer
        return Put(status, header(head, b"cache-generation"))

    async def sees(self, replica: int, put: Put, *, tell: bool) -> bool:
        """Tell whether a replica answers with what was put; `tell` it the generation."""
        head, body = await self.lines[replica].exchange(
            wire("GET", self.path, generation=put.generation if tell else b"")
        )
        assert head.startswith(OK), body
        return bool(json.loads(body)["status"] == put.status)


@asynccontextmanager
async def clients(fleet: Fleet) -> AsyncIterator[list[Client]]:
    """Yield clients of replicas 0 and 1, which cache."""
    await fill(fleet)
    await fleet.caching()
    ports = [node.program.port for node in fleet.apis]
    made = [
        Client(f"{ANOMALIES}/T{number}", [Line(replica, port) for replica, port in enumerate(ports)])
        for number in range(WRITERS)
    ]
    yield made
    for client in made:
        for line in client.lines:
            line.close()


async def old_reads(made: list[Client], puts: int, *, replica: int, tell: bool) -> int:
    """Return how many of so many reads, each sent to a replica at once after a PUT's 200, were old."""

    async def keep_putting(client: Client) -> int:
        old = 0
        for _ in range(puts // len(made)):
            await client.sees(replica, Put("", b""), tell=False)  # so that there is something old to be had
            put = await client.put()
            old += not await client.sees(replica, put, tell=tell)
        return old

    return sum(await asyncio.gather(*(keep_putting(client) for client in made)))


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.scenario("put")
async def test_a_read_at_once_after_a_put(make_fleet: MakeFleet, record: Record) -> None:
    """Through the same process: new. Through the other one: new with Cache-Generation, and without it counted."""
    fleet = await make_fleet(replicas=2)
    report = Report("put", fleet.mode, fleet.bound)
    async with clients(fleet) as made:
        assert await old_reads(made, FEWER, replica=0, tell=False) == 0
        assert await old_reads(made, PUTS, replica=1, tell=True) == 0
        old = await old_reads(made, PUTS, replica=1, tell=False)
    report.figures = {f"old without Cache-Generation, of {PUTS:,}": old, f"with it, of {PUTS:,}": 0}
    record(report)


@pytest.mark.timeout(300)
@pytest.mark.scenario("put-without-listener")
async def test_a_read_at_once_after_a_put_with_the_listener_stopped(make_fleet: MakeFleet, record: Record) -> None:
    """A PUT tells the other processes itself: the same holds while there is a lease, and after it."""
    fleet = await make_fleet(replicas=2)
    report = Report("put-without-listener", fleet.mode, fleet.bound)
    old = 0
    async with clients(fleet) as made:
        fleet.ears[0].program.pause()
        stopped = monotonic()
        while monotonic() < stopped + 2 * fleet.bound:
            assert await old_reads(made, 10 * WRITERS, replica=0, tell=False) == 0
            assert await old_reads(made, 10 * WRITERS, replica=1, tell=True) == 0
            old += await old_reads(made, 10 * WRITERS, replica=1, tell=False)
        assert await old_reads(made, FEWER, replica=1, tell=False) == 0, "without a lease nothing is cached"
        fleet.ears[0].program.resume()
    report.figures = {"old without Cache-Generation while the lease lasted": old}
    record(report)


@pytest.mark.timeout(300)
@pytest.mark.scenario("put-without-redis")
async def test_a_read_at_once_after_a_put_with_redis_gone(make_fleet: MakeFleet, record: Record) -> None:
    """Nobody can be told: the same process is fresh at once, the other one when its lease ends, within the bound."""
    fleet = await make_fleet(replicas=2, own_redis=True)
    report = Report("put-without-redis", fleet.mode, fleet.bound)
    async with clients(fleet) as made:
        for gone, back in (
            (fleet.own_redis.kill, fleet.own_redis.start),
            (fleet.own_redis.pause, fleet.own_redis.resume),
        ):
            for client in made:
                assert not await client.sees(1, Put("", b""), tell=False)
            gone()
            puts = await asyncio.gather(*(client.put() for client in made))
            returned = monotonic()
            assert {put.generation for put in puts} == {b""}, "a generation that Redis never had"
            pairs = list(zip(made, puts, strict=True))
            assert all([await client.sees(0, put, tell=False) for client, put in pairs])
            outdated = [await outdated_for(client, put, returned) for client, put in pairs]
            assert max(outdated) <= fleet.bound
            assert await old_reads(made, FEWEST, replica=0, tell=False) == 0
            back()
            await fleet.cached(f"{ANOMALIES}?limit=3")
            report.figures[f"{gone.__name__}: s until the other replica shows it, at worst"] = round(max(outdated), 3)
    record(report)


async def outdated_for(client: Client, put: Put, returned: float) -> float:
    """Ask replica 1 until it shows what was put; return how outdated it was when it was last asked in vain."""
    asked = last = monotonic()
    while not await client.sees(1, put, tell=False):
        last = asked
        asked = monotonic()
    return last - returned if asked > last else 0.0
