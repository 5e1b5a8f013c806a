"""Many clients of one answer, and many keys in Redis that are not ours."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from statistics import median

import pytest
from redis.asyncio import Redis

from bench.client import OK, Connection, connect, request
from coherence.clock import monotonic
from tests.chaos.faults.redis import execute
from tests.chaos.fleet import Fleet, MakeFleet
from tests.chaos.report import Report
from tests.chaos.trial import Run, Trial
from tests.chaos.ways import ROW, Way
from tests.chaos.writer import ANOMALIES, fill
from tests.support.own_servers import OwnValkey
from tests.support.processes import ANALYST_KEY
from tests.support.waiting import eventually

CLIENTS = 1000
BUMPS, MOST_ROUNDS = 3, 12
PATH = f"{ANOMALIES}/{ROW[0]}"
UPDATE = Way("UPDATE", (":update",))
OTHER_KEYS = 1_000_000
POPULATED_AT_ONCE = 50_000
SAMPLES = 15
MOST_TIMES = 5.0
GRACE_SECONDS = {"a Redis command": 0.002, "an invalidation": 0.02}
"""What a busy machine may make of two measurements of the same; and the empty Redis has nothing else to do."""


@dataclass
class Crowd:
    """Connections that all ask for one path at the same moment."""

    connections: list[Connection] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    async def join(self, port: int, clients: int) -> None:
        """Have so many more clients of a replica."""
        for _ in range(clients):
            failed = partial(self._failed, "broken")
            self.connections.append(await connect(port, self._answered, failed))

    async def ask(self, path: str) -> set[bytes]:
        """Have everybody ask at once; return the answers."""
        self.bodies.clear()
        wire = request(path, ANALYST_KEY)
        for connection in self.connections:
            connection.send(wire)
        await eventually(lambda: len(self.bodies) == len(self.connections) or bool(self.problems), within=60)
        assert not self.problems, self.problems[:3]
        return set(self.bodies)

    def leave(self) -> None:
        """Disconnect."""
        for connection in self.connections:
            connection.close()

    def _failed(self, what: str, error: Exception) -> None:
        self.problems.append(f"{what}: {error}")

    def _answered(self, _: Connection, head: bytes, body: bytes) -> None:
        if not head.startswith(OK):
            self.problems.append(body.decode())
        self.bodies.append(body)


async def all_see(crowd: Crowd, text: bytes) -> bool:
    """Have everybody ask; tell whether all answers hold `text`."""
    return all(text in body for body in await crowd.ask(PATH))


async def total(fleet: Fleet, name: str, **labels: str) -> float:
    """Return a sample of the replicas' metrics, added up over them."""
    return sum([await fleet.metric(replica, name, **labels) for replica in range(len(fleet.apis))])


async def bypasses(fleet: Fleet) -> float:
    """Return how many reads went past the caches for want of a lease."""
    return await total(fleet, "cache_bypasses_total", reason="no-lease")


@pytest.mark.scenario("hot-key")
@pytest.mark.timeout(300)
async def test_a_thousand_clients_of_one_answer(make_fleet: MakeFleet, record: Callable[[Report], None]) -> None:
    """When it changes, each replica reads it from Postgres twice at most: for who asked before, and who asks after."""
    fleet = await make_fleet(bound=10.0)
    await fill(fleet.database_url)
    crowd = Crowd()
    for node in fleet.apis:
        await crowd.join(node.program.port, CLIENTS // len(fleet.apis))
    counts: list[float] = []
    async with await fleet.connect() as connection:
        for version in range(3, 3 + MOST_ROUNDS):
            await fleet.cached(PATH)
            await crowd.ask(PATH)
            before, bypassed = await total(fleet, "cache_loads_total", outcome="ok"), await bypasses(fleet)
            changing = asyncio.create_task(UPDATE.commit(connection, version))
            await eventually(partial(all_see, crowd, f'"reason":"{version}"'.encode()), within=60)
            await changing
            # A machine that is too busy to hear Redis in time bypasses the caches, which is another matter.
            if await bypasses(fleet) == bypassed:
                counts.append(await total(fleet, "cache_loads_total", outcome="ok") - before)
            if len(counts) == BUMPS:
                break
    crowd.leave()
    assert counts, "the machine is too busy"
    most = max(counts)
    assert 1 <= most <= 2 * len(fleet.apis)
    record(Report("hot-key", fleet.settings()["CACHE_INVALIDATION"], fleet.bound, figures={"loads for a change": most}))


@pytest.mark.scenario("crowded-redis")
@pytest.mark.timeout(300)
async def test_a_million_other_keys(make_fleet: MakeFleet, run: Run, own_redis: Callable[..., OwnValkey]) -> None:
    """Redis and invalidation are as fast among a million other keys, and a sweep through them harms nobody."""
    fleet = await make_fleet(own_redis=True)
    async with run(fleet) as trial, Redis.from_url(own_redis().url) as empty:
        await trial.writer.pause()
        alone = await invalidation_seconds(trial)
        async with trial.fault("crowding"):
            for number in range(OTHER_KEYS // POPULATED_AT_ONCE):
                await execute(fleet.redis, "DEBUG", "POPULATE", str(POPULATED_AT_ONCE), f"other-{number}")
            assert await fleet.redis.dbsize() > OTHER_KEYS
        await trial.writer.pause()
        for name in ("crowded", "swept"):
            trial.phase = name
            if name == "swept":
                before = await scans(fleet)
                await fleet.sql("SELECT coherence.invalidate('anomalies')")
                await eventually(partial(scanned, fleet, before), within=120)
            command, beside = await command_seconds(fleet.redis, empty)
            measured = {
                "a Redis command": (command, beside),
                "an invalidation": (await invalidation_seconds(trial), alone),
            }
            for what, (times, usual) in measured.items():
                trial.report.figures[f"{what}, {name}: times that without them"] = round(times / usual, 2)
                assert times <= MOST_TIMES * usual + GRACE_SECONDS[what], f"{what}, {name}: {times} s, not {usual} s"


async def scans(fleet: Fleet) -> int:
    """Return how many steps sweeps have made."""
    return int((await fleet.redis.info("commandstats")).get("cmdstat_scan", {"calls": 0})["calls"])


async def scanned(fleet: Fleet, before: int) -> bool:
    """Tell whether a sweep is under way."""
    return await scans(fleet) > before


async def command_seconds(*servers: Redis) -> list[float]:
    """Return the usual seconds of a command, by server; asked in turn, they share what else goes on."""
    seconds: list[list[float]] = [[] for _ in servers]
    for _ in range(10 * SAMPLES):
        for redis, its_seconds in zip(servers, seconds, strict=True):
            started = monotonic()
            await redis.get("other-0:1")
            its_seconds.append(monotonic() - started)
    return [median(its_seconds) for its_seconds in seconds]


async def invalidation_seconds(trial: Trial) -> float:
    """Return the usual seconds from a commit to an answer that shows it."""
    seconds = []
    async with await trial.fleet.connect() as connection:
        for _ in range(SAMPLES):
            await trial.fleet.cached(PATH)
            await trial.writer.change(ROW, partial(UPDATE.commit, connection))
            started = monotonic()
            await eventually(lambda: shows_newest(trial), within=20, every=0.001)
            seconds.append(monotonic() - started)
    return median(seconds)


async def shows_newest(trial: Trial) -> bool:
    """Tell whether the first replica shows the newest version."""
    answer = await trial.fleet.get(0, PATH)
    return int(answer.json()["reason"]) == trial.oracle.newest(ROW[0])
