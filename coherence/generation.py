"""The generation key: bump, renew and read it. The Lua functions that do so lie in `lua/`."""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from redis.asyncio import Redis
from redis.exceptions import NoPermissionError

from coherence.changes import Bump, Change, parse_generation, trace_of
from coherence.commands import Commands, Script
from coherence.keys import Names
from coherence.redis_client import RedisUnavailable, bounded

_SERVER = re.compile(rb"^(?:run_id|master_replid):\w+", re.MULTILINE)
_to_json = json.JSONEncoder(separators=(",", ":")).encode  # json.dumps would make an encoder each time


@dataclass(frozen=True, slots=True)
class Bumped:
    """A bump that was made, and how many caches there are that acknowledge it."""

    bump: Bump
    acknowledgers: int


@dataclass(frozen=True, slots=True)
class Renewed:
    """What a renewal did: see `lua/renew.lua`. `ttl` is the lease's rest in seconds, 0 where none was given."""

    outcome: Literal["renewed", "made", "late", "clock", "server"]
    generation: int
    ttl: float

    @property
    def granted(self) -> bool:
        """Whether there is a lease now."""
        return self.outcome in ("renewed", "made")


@dataclass(frozen=True, slots=True)
class Reading:
    """What a poll read, at one moment: Redis' time, the generation (None: none readable), its TTL, in seconds.

    `namespaces` are those that the lease is for.
    """

    time: float
    generation: int | None
    pttl: float
    namespaces: frozenset[str]


def untraced() -> str:
    """Return that there is no trace context."""
    return ""


class GenerationKey:
    """Redis' side of the protocol. A call that fails or takes over `timeout` seconds raises RedisUnavailable.

    All but `read` goes through one connection: through two, a failover could have a lease given by another server than
    the one that was told of the changes.
    `trace` is asked once a bump for the trace context that goes with it: a W3C `traceparent`, or "" for none.
    """

    def __init__(self, redis: Redis, names: Names, timeout: float, trace: Callable[[], str] = untraced) -> None:
        self._redis = redis
        self._names = names
        self._timeout = timeout
        self._trace = trace
        self._commands = Commands(redis, timeout, at_once=1)
        self._bump = Script(self._commands, "bump")
        self._renew = Script(self._commands, "renew")

    async def bump(self, floor: int, changes: Sequence[Change], *, acknowledge: bool = False) -> Bumped:
        """Make a generation above `floor`, and publish what changed. A lease that there is goes on."""
        names = self._names
        wire = _to_json([change.as_wire() for change in changes])
        asked = "true" if acknowledge else "false"
        trace = trace_of(self._trace())
        previous, generation, acknowledgers, now_us = await self._bump.run(
            (names.generation,), floor, names.changes, names.acknowledgements, wire, names.database, asked, trace
        )
        made_at = int(now_us) / 1e6
        bump = Bump(int(previous), int(generation), tuple(changes), made_at, names.database, acknowledge, trace)
        return Bumped(bump, int(acknowledgers))

    async def renew(
        self, t0_us: int, age: float, lease: float, floor: int, *, namespaces: Iterable[str], server: str = ""
    ) -> Renewed:
        """Give a lease for `namespaces` that ends `lease` seconds after `t0_us` of Redis' clock.

        `age` is how long ago, in seconds on the caller's monotonic clock, that reading arrived. `floor` is the highest
        generation that the caller has seen: a key that is missing or below it gets a new one. `server` is what
        `server_id` returned: another server gives no lease.
        """
        outcome, generation, ttl_ms = await self._renew.run(
            (self._names.generation, self._names.vouched),
            t0_us,
            int(age * 1e6),
            int(lease * 1000),
            floor,
            self._names.changes,
            self._names.database,
            server,
            " ".join(sorted(namespaces)),
        )
        known = cast('Literal["renewed", "made", "late", "clock", "server"]', outcome.decode())
        return Renewed(known, int(generation), int(ttl_ms) / 1000)

    async def server_id(self) -> str:
        """Return what tells this run of the server, and this reign of it as the primary, from others.

        "" where Redis may not be asked.
        """
        try:
            info = await self._commands.run("INFO", "server") + await self._commands.run("INFO", "replication")
        except RedisUnavailable as error:
            if isinstance(error.__cause__, NoPermissionError):
                return ""
            raise
        return b" ".join(_SERVER.findall(info)).decode()

    async def time_us(self) -> int:
        """Return Redis' time in µs."""
        seconds, microseconds = await self._commands.run("TIME")
        return int(seconds) * 1_000_000 + int(microseconds)

    async def read(self, *, patience: float = 0.0) -> Reading:
        """Read Redis' time, the lease's rest and the generation at one moment, in one round trip.

        `patience` are seconds that it may take where that is longer than the timeout.
        """
        pipeline = self._redis.pipeline(transaction=True)
        pipeline.time()
        pipeline.pttl(self._names.generation)
        pipeline.get(self._names.generation)
        pipeline.get(self._names.vouched)
        async with bounded(max(self._timeout, patience)):
            time, pttl, value, vouched = await pipeline.execute(raise_on_error=False)
            for failed in (time, pttl):
                if isinstance(failed, Exception):
                    raise failed
        # A key of another type answers GET with an error: nothing can be read from it.
        generation = parse_generation(value) if isinstance(value, bytes) else None
        namespaces = frozenset(vouched.decode(errors="replace").split()) if isinstance(vouched, bytes) else frozenset()
        return Reading(int(time[0]) + int(time[1]) / 1e6, generation, max(0, pttl) / 1000, namespaces)
