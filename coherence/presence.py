"""Which processes there are: each says so in Redis every second, under a TTL, so that there is no registry to tidy.

Who is stopped takes it back; who is killed is gone when the TTL has ended.

What is said is for people's eyes; nothing that the cache promises relies on it.
"""

import asyncio
from collections.abc import Callable
from typing import Literal, NoReturn

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline

from coherence.keys import Names
from coherence.redis_client import RedisUnavailable, bounded

INTERVAL_SECONDS = 1.0
TTL_SECONDS = 5.0
"""How long a process that says nothing more, and did not say that it ends, still counts as there."""

INDEX_TTL_SECONDS = 3600
MOST_PROCESSES = 2000
"""More than these are not looked at: whoever writes to Redis could name any number."""

MOST_APPLIED = 64


class Applied(BaseModel):
    """A generation that a process has applied, so many milliseconds after it was made."""

    model_config = ConfigDict(frozen=True)

    generation: int
    milliseconds: float


class Traffic(BaseModel):
    """What an API process has answered since it started, and what its own cache holds."""

    model_config = ConfigDict(frozen=True)

    l1_hits: int = 0
    l2_hits: int = 0
    misses: int = 0
    bypasses: int = 0
    loads: int = 0
    requests: int = 0
    l1_entries: int = 0
    l1_bytes: int = 0

    @property
    def hit_rate(self) -> float | None:
        """The share of the hits in hits and misses, as dashboards have it; None before the first."""
        hits = self.l1_hits + self.l2_hits
        return hits / (hits + self.misses) if hits + self.misses else None


class Presence(BaseModel):
    """What a process says of itself. Times are in seconds; `state` is a word, `problem` what is in its way.

    An API process is `serving` or `bypassing` its caches; a listener is `active`, `standby` or `connecting`.
    `applied` are its latest generations, the newest last.
    """

    model_config = ConfigDict(frozen=True)

    process: str = Field(max_length=64)
    kind: Literal["api", "listener"]
    host: str = Field(max_length=255)
    pid: int
    version: str = Field(max_length=64)
    up: float
    state: str = Field(max_length=64)
    problem: str | None = Field(None, max_length=2000)
    generation: int
    lease_left: float
    bound: float
    traffic: Traffic | None = None
    applied: tuple[Applied, ...] = Field((), max_length=MOST_APPLIED)


class Announcer:
    """Says that a process is there: `describe` returns what there is to say now.

    `timeout` is of each command, in seconds; `failed` is told why Redis did not take it.
    """

    def __init__(
        self,
        redis: Redis,
        names: Names,
        *,
        timeout: float,
        describe: Callable[[], Presence],
        failed: Callable[[str], None],
    ) -> None:
        self._redis = redis
        self._names = names
        self._timeout = timeout
        self._describe = describe
        self._failed = failed

    async def run(self) -> NoReturn:
        """Say so every second, until cancelled; take it back then."""
        try:
            while True:
                await self._send(self._announcement(self._describe()))
                await asyncio.sleep(INTERVAL_SECONDS)
        finally:
            await self._send(self._withdrawal(self._describe().process))

    async def _send(self, commands: Pipeline) -> None:
        try:
            async with bounded(self._timeout):
                await commands.execute()
        except RedisUnavailable as error:
            self._failed(str(error))

    def _announcement(self, presence: Presence) -> Pipeline:
        pipeline = self._redis.pipeline(transaction=False)
        key = self._names.process(presence.process)
        pipeline.set(key, presence.model_dump_json(), px=round(TTL_SECONDS * 1000))
        pipeline.sadd(self._names.processes, presence.process)
        pipeline.expire(self._names.processes, INDEX_TTL_SECONDS)
        return pipeline

    def _withdrawal(self, process: str) -> Pipeline:
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.unlink(self._names.process(process))
        pipeline.srem(self._names.processes, process)
        return pipeline


async def present(redis: Redis, names: Names, timeout: float) -> list[Presence]:
    """Return who is there, API processes first, each kind by host and process id. Raises RedisUnavailable.

    What cannot be read is left out; who has gone is forgotten.
    """
    async with bounded(timeout):
        members = sorted(map(_text, await redis.smembers(names.processes)))
    members = members[:MOST_PROCESSES]
    if not members:
        return []
    async with bounded(timeout):
        said = await redis.mget([names.process(member) for member in members])
    gone = [member for member, wire in zip(members, said, strict=True) if wire is None]
    if gone:
        async with bounded(timeout):
            await redis.srem(names.processes, *gone)
    found = [presence for wire in said if wire is not None and (presence := _read(wire)) is not None]
    return sorted(found, key=lambda each: (each.kind, each.host, each.pid))


def _text(name: bytes | str) -> str:
    return name if isinstance(name, str) else name.decode(errors="replace")


def _read(wire: bytes | str) -> Presence | None:
    try:
        return Presence.model_validate_json(wire)
    except ValidationError:
        return None
