"""The shared cache: entries in Redis, and turns to load them. No fault of Redis reaches the caller: it is reported."""

import asyncio
import time
from collections.abc import Awaitable, Coroutine
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from coherence.coder import Coder
from coherence.coding import MOST_BYTES, REDIS_LEAST_BYTES, ZSTD
from coherence.commands import Commands, Script
from coherence.entry import HEADER_MAX_LENGTH, Entry, MalformedEntry, text_of
from coherence.events import Observer, Operated, Operation, Rejected
from coherence.keys import Names
from coherence.query import Query
from coherence.redis_client import RedisUnavailable

MOST_PENDING_PUTS = 100


class L2:
    """Reads and writes. `timeout` is the longest that a command may take, in seconds.

    Bodies are written compressed, where `coder` may and that makes them smaller.

    After a command that got no answer it is suspended: it misses at once, and drops what it should write, until
    `resume` is called. So a Redis that hangs costs one request one timeout, and not every request one.
    """

    def __init__(self, redis: Redis, names: Names, observer: Observer, timeout: float, coder: Coder) -> None:
        self._names = names
        self._observe = observer
        self._coder = coder
        self._puts: set[asyncio.Task[None]] = set()
        self._commands = Commands(redis, timeout)
        self._take_turn = Script(self._commands, "take_turn")
        self._end_turn = Script(self._commands, "end_turn")
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
            wire = await self._commands.run("GET", key)
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

    async def text(self, key: str) -> str | None:
        """Return the parameters, as a query's text, of what is kept under a cache key; None for nothing of ours."""
        if self.suspended:
            return None
        started = time.perf_counter()
        try:
            front = await self._commands.run("GETRANGE", self._names.entry(key), 0, HEADER_MAX_LENGTH - 1)
        except RedisUnavailable as error:
            self._failed("get", started, error)
            return None
        return text_of(front) if isinstance(front, bytes) else None

    def put(self, entry: Entry, turn: bytes = b"") -> bool:
        """Write `entry` in the background, to live for its TTL, and end the turn; return whether that was begun.

        It is not while Redis does not answer, or too many writes are under way.
        """
        if self.suspended:
            return False
        if len(self._puts) >= MOST_PENDING_PUTS:
            self._observe(Operated("set", 0.0, "too many writes under way"))
            return False
        self._begin("set", self._compress_and_put(entry, turn))
        return True

    async def take_turn(self, query: Query, ours: bytes, seconds: float, outdated: bytes) -> bytes | None:
        """Take the turn to load `query`, for at most `seconds`, if nobody has it, or it is the `outdated` one.

        Returns the turn that is on now, `ours` or another's; None where Redis does not say.
        """
        if self.suspended:
            return None
        started = time.perf_counter()
        try:
            held = await self._take_turn.run((self._names.turn(query.key),), ours, round(seconds * 1000), outdated)
        except RedisUnavailable as error:
            self._failed("turn", started, error)
            return None
        self._observe(Operated("turn", time.perf_counter() - started))
        return held if isinstance(held, bytes) else ours

    async def turn(self, query: Query) -> bytes | None:
        """Return the turn that is on, empty for none; None where Redis does not say."""
        if self.suspended:
            return None
        started = time.perf_counter()
        try:
            held = await self._commands.run("GET", self._names.turn(query.key))
        except RedisUnavailable as error:
            self._failed("turn", started, error)
            return None
        return held if isinstance(held, bytes) else b""

    def leave(self, query: Query, turn: bytes) -> None:
        """End a turn in the background, with nothing to store; where that is not begun, it ends by its own TTL."""
        if not self.suspended and len(self._puts) < MOST_PENDING_PUTS:
            self._begin("turn", self._write("turn", self._end(query, turn, b"", 0)))

    def forget(self, key: str) -> None:
        """Remove what is under a cache key, in the background. Whether that is done in time, or at all, is not told."""
        if not self.suspended and len(self._puts) < MOST_PENDING_PUTS:
            self._begin("sweep", self._write("sweep", self._commands.run("UNLINK", self._names.entry(key))))

    def _begin(self, operation: Operation, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name=f"l2-{operation}")
        self._puts.add(task)
        task.add_done_callback(self._puts.discard)

    async def _write(self, operation: Operation, work: Awaitable[object]) -> None:
        started = time.perf_counter()
        try:
            await work
        except RedisUnavailable as error:
            self._failed(operation, started, error)
        else:
            self._observe(Operated(operation, time.perf_counter() - started))

    async def _compress_and_put(self, entry: Entry, turn: bytes) -> None:
        if ZSTD in self._coder.codings and REDIS_LEAST_BYTES <= len(entry.body) <= MOST_BYTES:
            await self._coder.coded(entry, ZSTD)
        await self._write("set", self._put(entry, turn))

    async def _put(self, entry: Entry, turn: bytes) -> None:
        milliseconds = max(1, round(entry.ttl * 1000))
        if turn:
            await self._end(entry.query, turn, entry.as_wire(), milliseconds)
        else:
            await self._commands.run("SET", self._names.entry(entry.query.key), entry.as_wire(), "PX", milliseconds)

    async def _end(self, query: Query, turn: bytes, wire: bytes, milliseconds: int) -> None:
        await self._end_turn.run((self._names.turn(query.key), self._names.entry(query.key)), turn, wire, milliseconds)

    async def close(self) -> None:
        """Wait for the writes that are under way."""
        await asyncio.gather(*self._puts)
        await self._commands.close()

    async def _reject(self, query: Query, key: str, reason: str) -> None:
        started = time.perf_counter()
        self._observe(Rejected(query.namespace, reason))
        try:
            await self._commands.run("UNLINK", key)
        except RedisUnavailable as error:
            self._failed("decode", started, error)

    def _failed(self, operation: Operation, started: float, error: RedisUnavailable) -> None:
        # A Redis that refuses, a full one for example, has answered: asking it costs nothing, and it may still be read.
        self.suspended = self.suspended or not isinstance(error.__cause__, ResponseError)
        self._observe(Operated(operation, time.perf_counter() - started, str(error)))
