"""Listeners that run in the test's own process, and what their bumps say on the wire."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TypeVar

from redis.asyncio import Redis

from coherence.changes import Bump
from coherence.clock import monotonic
from coherence.generation import GenerationKey, Reading
from coherence.keys import Names
from coherence.redis_client import connect, database_of
from coherence.settings import CoherenceSettings
from coherence.timing import Timing
from listener.daemon import Listener, statement_limit
from listener.events import Event, LeaseRenewed
from listener.lock import lock_key
from listener.source import open_source
from listener.sweeper import Sweeper
from tests.support.waiting import eventually

REDIS_TIMEOUT = 0.25

E = TypeVar("E")


@dataclass
class RunningListener:
    """A listener and all that it has reported so far."""

    listener: Listener
    key: GenerationKey
    redis: Redis
    names: Names
    events: list[Event] = field(default_factory=list)

    def seen(self, kind: type[E]) -> list[E]:
        """Return the events of one kind, oldest first."""
        return [event for event in self.events if isinstance(event, kind)]

    async def lease(self) -> Reading:
        """Read the generation and its lease."""
        return await self.key.read()

    async def serving(self, within: float = 20.0) -> None:
        """Wait until it has renewed the lease, after what it has reported so far."""
        before = len(self.seen(LeaseRenewed))
        await eventually(lambda: len(self.seen(LeaseRenewed)) > before, within=within)

    async def unleased(self, within: float = 20.0) -> None:
        """Wait until there is no lease in Redis."""

        async def gone() -> bool:
            return (await self.lease()).generation is None

        await eventually(gone, within=within)


@dataclass
class Place:
    """The database, the Redis database and the prefix that a test's listeners share."""

    database_url: str
    redis_url: str
    prefix: str
    bound: float = 2.0

    def connect(self) -> Redis:
        """Return a Redis client of the test's settings; close it."""
        settings = CoherenceSettings.model_validate({"redis_url": self.redis_url, "cache_prefix": self.prefix})
        return connect(settings, connections=4)

    @asynccontextmanager
    async def listener(self, *, lock: str = "here") -> AsyncIterator[RunningListener]:
        """Run a listener; a fault of its own fails the test. Those of one `lock` are not active at once."""
        timing = Timing.from_bound(self.bound)
        redis = self.connect()
        names = Names(self.prefix, database_of(redis))
        events: list[Event] = []
        observe = events.append
        sweeper = Sweeper(redis, names, timeout=REDIS_TIMEOUT, observer=observe)
        key = GenerationKey(redis, names, REDIS_TIMEOUT)
        listener = Listener(
            lambda: open_source(self.database_url, limit=statement_limit(timing)),
            key=key,
            sweeper=sweeper,
            lock=lock_key(lock, self.prefix),
            timing=timing,
            observer=observe,
            clock=monotonic,
        )
        running = asyncio.create_task(listener.run())
        sweeping = asyncio.create_task(sweeper.run())
        try:
            yield RunningListener(listener, key, redis, names, events)
        finally:
            listener.stop()
            async with asyncio.timeout(5):
                await running
            while not sweeping.done():
                sweeping.cancel()  # again and again: redis-py's use of asyncio.wait_for loses one on Python 3.11
                await asyncio.wait([sweeping], timeout=0.1)
            await redis.aclose()

    @asynccontextmanager
    async def bumps(self) -> AsyncIterator[list[Bump]]:
        """Collect every bump that is published from here on."""
        redis = self.connect()
        heard: list[Bump] = []
        async with redis.pubsub() as subscription:
            await subscription.subscribe(Names(self.prefix, database_of(redis)).changes)
            await subscription.get_message(timeout=5)

            async def collect() -> None:
                while True:
                    message = await subscription.get_message(timeout=1)
                    if message is not None and message["type"] == "message":
                        heard.append(Bump.from_wire(message["data"]))

            collecting = asyncio.create_task(collect())
            try:
                yield heard
            finally:
                collecting.cancel()
                with suppress(asyncio.CancelledError):
                    await collecting
        await redis.aclose()
