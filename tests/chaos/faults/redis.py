"""Faults of a Redis of one's own: it forgets, or refuses. All of them real, made by Redis itself."""

import asyncio
import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError, RedisError

from coherence.keys import Names
from tests.chaos.faults.fault import Fault, Repeated
from tests.support.own_servers import OwnValkey
from tests.support.waiting import eventually

DUMP = "dump.rdb"
NOWHERE = ("127.0.0.1", "1")


async def execute(redis: Redis, *words: str) -> None:
    """Say a command for which redis-py has no function, or none with types."""
    await redis.execute_command(*words)  # type: ignore[no-untyped-call]


@dataclass
class RedisFault(Fault):
    """One of a server, with a client to set it up with, which goes past every proxy."""

    server: OwnValkey
    redis: Redis
    names: Names


# -- it forgets


@dataclass
class GenerationDeleted(RedisFault, Repeated):
    """DEL of the generation, again and again."""

    name: ClassVar[str] = "generation deleted"
    every: float = 0.1

    async def strike(self) -> None:
        """Delete it."""
        await self.redis.delete(self.names.generation)


@dataclass
class Flushed(RedisFault, Repeated):
    """FLUSHALL, again and again."""

    name: ClassVar[str] = "flushed"
    every: float = 0.4

    async def strike(self) -> None:
        """Flush it."""
        await self.redis.flushall()


@dataclass
class Evicting(RedisFault, Repeated):
    """Memory is full of other keys under `allkeys-lru`, more of which are written all the time."""

    name: ClassVar[str] = "evicting"
    every: float = 0.01
    evictions_of_the_generation: int = 0
    _written: int = 0

    async def start(self) -> None:
        """Leave little memory, and begin to fill it."""
        used = int((await self.redis.info("memory"))["used_memory"])
        await self.redis.config_set("maxmemory-policy", "allkeys-lru")
        await self.redis.config_set("maxmemory-samples", 1)
        await self.redis.config_set("maxmemory", used + 200_000)
        await super().start()

    async def heal(self) -> None:
        """Write no more; there is room again."""
        await super().heal()
        await self.redis.config_set("maxmemory", 0)
        await self.redis.config_set("maxmemory-policy", "noeviction")

    async def strike(self) -> None:
        """Write 200 kB, and look for the generation."""
        for _ in range(20):
            self._written += 1
            # All may be gone that can be evicted.
            with suppress(OutOfMemoryError):
                await self.redis.set(f"other:{self._written}", "x" * 10_000)
        if not await self.redis.exists(self.names.generation):
            self.evictions_of_the_generation += 1


@dataclass
class RestartedEmpty(RedisFault):
    """It crashes, and comes back with nothing."""

    name: ClassVar[str] = "restarted empty"

    async def start(self) -> None:
        """Crash it."""
        self.server.kill()

    async def heal(self) -> None:
        """Start it."""
        self.server.start()
        await self.redis.connection_pool.disconnect()


@dataclass
class SnapshotRestored(RedisFault):
    """It crashes, and comes back at once with what it had a while ago: the lease in there may be good still.

    `remember` takes the snapshot; what is bumped between that and `start` is lost.
    """

    name: ClassVar[str] = "snapshot restored"

    async def remember(self) -> int:
        """Take the snapshot; return its generation."""
        await self.redis.save()
        shutil.copy(self._dump, self._kept)
        return int(await self.redis.get(self.names.generation) or 0)

    async def start(self) -> None:
        """Crash it, and start it with the snapshot."""
        self.server.kill()
        shutil.copy(self._kept, self._dump)
        self.server.start()
        await self.redis.connection_pool.disconnect()

    async def heal(self) -> None:
        """There is nothing to mend."""

    @property
    def _dump(self) -> Path:
        return self.server.directory / DUMP

    @property
    def _kept(self) -> Path:
        return self.server.directory / f"{DUMP}.kept"


# -- it refuses


@dataclass
class ReadOnly(RedisFault):
    """READONLY: it is the replica of a server that does not answer."""

    name: ClassVar[str] = "READONLY"

    async def start(self) -> None:
        """Make a replica of it."""
        await execute(self.redis, "REPLICAOF", *NOWHERE)

    async def heal(self) -> None:
        """Promote it."""
        await execute(self.redis, "REPLICAOF", "NO", "ONE")


@dataclass
class Full(RedisFault):
    """OOM: there is no memory left for writes, and nothing is evicted."""

    name: ClassVar[str] = "OOM"

    async def start(self) -> None:
        """Leave no memory."""
        await self.redis.config_set("maxmemory-policy", "noeviction")
        await self.redis.config_set("maxmemory", 1)

    async def heal(self) -> None:
        """Leave all memory."""
        await self.redis.config_set("maxmemory", 0)


@dataclass
class Loading(RedisFault):
    """LOADING: it reads a snapshot, slowly."""

    name: ClassVar[str] = "LOADING"
    keys: int = 1500
    microseconds_per_key: int = 2000
    _reloading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Have it save all that it has, and load that again; returns when it is loading."""
        await self.redis.mset({f"other:{number}": "x" * 2000 for number in range(self.keys)})
        await self.redis.config_set("loading-process-events-interval-bytes", 1024)
        await self.redis.config_set("key-load-delay", self.microseconds_per_key)
        self._reloading = asyncio.create_task(self._reload())
        await eventually(self._is_loading, within=10.0)

    async def heal(self) -> None:
        """Wait until it has done so."""
        assert self._reloading is not None
        await self._reloading
        await self.redis.config_set("key-load-delay", 0)

    async def _reload(self) -> None:
        await execute(self.redis, "DEBUG", "RELOAD")

    async def _is_loading(self) -> bool:
        return bool((await self.redis.info("persistence"))["loading"])


@dataclass
class Forbidden(RedisFault):
    """NOPERM: its administrator takes away what the cache's user may do, but for `still`."""

    name: ClassVar[str] = "NOPERM"
    still: tuple[str, ...] = ()

    async def start(self) -> None:
        """Take it away."""
        await execute(self.redis, "ACL", "SETUSER", "default", "-@all", "+acl", "+ping", *self.still)

    async def heal(self) -> None:
        """Give it back."""
        await execute(self.redis, "ACL", "SETUSER", "default", "+@all")


@dataclass
class Busy(RedisFault):
    """BUSY: it runs a script that does not end."""

    name: ClassVar[str] = "BUSY"
    _running: asyncio.Task[None] | None = field(default=None)

    async def start(self) -> None:
        """Begin to run it; returns when others are told so."""
        await self.redis.config_set("busy-reply-threshold", 50)
        self._running = asyncio.create_task(self._run())
        await eventually(self._is_busy, within=10.0)

    async def heal(self) -> None:
        """End it."""
        assert self._running is not None
        await self.redis.script_kill()
        await self._running

    async def _run(self) -> None:
        try:
            await self.redis.eval("while true do end", 0)
        except RedisError as error:
            if "killed" not in str(error):
                raise

    async def _is_busy(self) -> bool:
        try:
            await self.redis.ping()
        except RedisError as error:
            return str(error).startswith(("BUSY", "Redis is busy"))
        return False
