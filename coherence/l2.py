"""The shared cache: entries in Redis. No fault of Redis reaches the caller; each is reported to the observer."""

import asyncio
import time

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from coherence.entry import Entry, MalformedEntry
from coherence.events import Observer, Operated, Operation, Rejected
from coherence.keys import Names
from coherence.query import Query
from coherence.redis_client import RedisUnavailable, bounded

MOST_PENDING_PUTS = 100


class L2:
    """Reads and writes entries. `timeout` is the longest that a command may take, in seconds.

    After a command that got no answer it is suspended: it misses at once, and drops what it should write, until
    `resume` is called. So a Redis that hangs costs one request one timeout, and not every request one.
    """

    def __init__(self, redis: Redis, names: Names, observer: Observer, timeout: float) -> None:
        self._redis = redis
        self._names = names
        self._observe = observer
        self._timeout = timeout
        self._puts: set[asyncio.Task[None]] = set()
        self.suspended = False

    def resume(self) -> None:
        """Redis is known to answer again."""
        self.suspended = False

    async def get(self, query: Query) -> Entry | None:
        """Return the entry of `query`, whatever its age; None where there is none that can be believed."""
        if self.suspended:
            return None
        key = self._names.entry(query.key)
        started = time.perf_counter()
        try:
            async with bounded(self._timeout):
                wire = await self._redis.get(key)
        except RedisUnavailable as error:
            if isinstance(error.__cause__, ResponseError) and str(error.__cause__).startswith("WRONGTYPE"):
                await self._reject(query, key, "not a string")
                return None
            self._failed("get", started, error)
            return None
        self._observe(Operated("get", time.perf_counter() - started))
        if not isinstance(wire, bytes):
            return None
        try:
            return Entry.from_wire(query, wire)
        except MalformedEntry as error:
            await self._reject(query, key, str(error))
            return None

    def put(self, entry: Entry) -> bool:
        """Write `entry` in the background, to live for its TTL; return whether that was begun.

        It is not while Redis does not answer, or too many writes are under way.
        """
        if self.suspended:
            return False
        if len(self._puts) >= MOST_PENDING_PUTS:
            self._observe(Operated("set", 0.0, "too many writes under way"))
            return False
        task = asyncio.create_task(self._put(entry), name="l2-put")
        self._puts.add(task)
        task.add_done_callback(self._puts.discard)
        return True

    async def _put(self, entry: Entry) -> None:
        started = time.perf_counter()
        try:
            async with bounded(self._timeout):
                await self._redis.set(
                    self._names.entry(entry.query.key), entry.as_wire(), px=max(1, round(entry.ttl * 1000))
                )
        except RedisUnavailable as error:
            self._failed("set", started, error)
        else:
            self._observe(Operated("set", time.perf_counter() - started))

    async def close(self) -> None:
        """Wait for the writes that are under way."""
        await asyncio.gather(*self._puts)

    async def _reject(self, query: Query, key: str, reason: str) -> None:
        started = time.perf_counter()
        self._observe(Rejected(query.namespace, reason))
        try:
            async with bounded(self._timeout):
                await self._redis.unlink(key)
        except RedisUnavailable as error:
            self._failed("decode", started, error)

    def _failed(self, operation: Operation, started: float, error: RedisUnavailable) -> None:
        # A Redis that refuses, a full one for example, has answered: asking it costs nothing, and it may still be read.
        self.suspended = self.suspended or not isinstance(error.__cause__, ResponseError)
        self._observe(Operated(operation, time.perf_counter() - started, str(error)))
