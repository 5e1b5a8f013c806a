"""Redis commands, those that come while others are under way sent together: a round trip's price is shared."""

import asyncio
import hashlib
from importlib.resources import files
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from coherence.redis_client import RedisUnavailable, bounded
from coherence.tasks import end

AT_ONCE = 2
"""Round trips under way at once. With fewer a command waits longer for the next, with more less is shared."""

Word = str | bytes | int


class Commands:
    """Runs single commands. One that fails, or takes over `timeout` seconds, raises RedisUnavailable with its cause."""

    def __init__(self, redis: Redis, timeout: float) -> None:
        self._redis = redis
        self._timeout = timeout
        self._waiting: list[tuple[tuple[Word, ...], asyncio.Future[Any]]] = []
        self._trips: set[asyncio.Task[None]] = set()
        self._under_way = 0

    async def run(self, *words: Word) -> Any:
        """Return the reply to a command."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((words, answer))
        if self._under_way < AT_ONCE:
            self._under_way += 1
            trip = asyncio.create_task(self._travel(), name="redis commands")
            self._trips.add(trip)
            trip.add_done_callback(self._trips.discard)
        async with bounded(self._timeout):
            return await answer

    async def _travel(self) -> None:
        try:
            while self._waiting:
                await self._trip()
        finally:
            # In the same step as the last look at who waits: whoever comes later sees that there is room.
            self._under_way -= 1

    async def _trip(self) -> None:
        waiting, self._waiting = self._waiting, []
        batch = [(words, answer) for words, answer in waiting if not answer.done()]
        if not batch:
            return
        try:
            async with bounded(self._timeout):
                replies = await self._together([words for words, _ in batch])
        except RedisUnavailable as error:
            replies = [error.__cause__] * len(batch)
        except Exception as error:  # noqa: BLE001 - it is raised where the answers are awaited
            replies = [error] * len(batch)
        for (_, answer), reply in zip(batch, replies, strict=True):
            if answer.done():
                continue
            if isinstance(reply, Exception):
                answer.set_exception(reply)
            else:
                answer.set_result(reply)

    async def _together(self, commands: list[tuple[Word, ...]]) -> list[Any]:
        if len(commands) == 1:
            # Alone, it is cheaper without a pipeline.
            return [await self._redis.execute_command(*commands[0])]  # type: ignore[no-untyped-call] # the library's
        pipeline = self._redis.pipeline(transaction=False)
        for words in commands:
            pipeline.execute_command(*words)
        replies: list[Any] = await pipeline.execute(raise_on_error=False)
        return replies

    async def close(self) -> None:
        """Give up what is under way."""
        await end(*self._trips)


class Script:
    """A Lua function of `lua/`, run by its digest: Redis gets the text when it does not know it."""

    def __init__(self, commands: Commands, name: str) -> None:
        self._commands = commands
        self._text = (files("coherence") / "lua" / f"{name}.lua").read_text()
        self._digest = hashlib.sha1(self._text.encode(), usedforsecurity=False).hexdigest()

    async def run(self, keys: tuple[str, ...], *arguments: Word) -> Any:
        """Return what it returns. Raises RedisUnavailable."""
        rest = (len(keys), *keys, *arguments)
        try:
            return await self._commands.run("EVALSHA", self._digest, *rest)
        except RedisUnavailable as error:
            if not isinstance(error.__cause__, NoScriptError):
                raise
        return await self._commands.run("EVAL", self._text, *rest)
