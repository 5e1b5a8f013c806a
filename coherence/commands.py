"""Redis commands, those that come while others are under way sent together: a round trip's price is shared."""

import asyncio
import hashlib
from importlib.resources import files
from typing import Any

from hiredis import pack_command
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import NoScriptError, ResponseError

from coherence.redis_client import RedisUnavailable, bounded, unavailable
from coherence.tasks import end

AT_ONCE = 2
"""Round trips under way at once, each on a connection of its own. With fewer a command waits longer for the next, with
more less is shared."""

Word = str | bytes | int


class Commands:
    """Runs single commands. One that fails, or takes over `timeout` seconds, raises RedisUnavailable with its cause.

    Its connections, at most `at_once`, are of the client's pool, and kept until the client is closed: taking one each
    time, and a pipeline of the client's, cost several times what the round trip itself does.
    """

    def __init__(self, redis: Redis, timeout: float, *, at_once: int = AT_ONCE) -> None:
        self._pool = redis.connection_pool
        self._timeout = timeout
        self._at_once = at_once
        self._waiting: list[tuple[tuple[Word, ...], asyncio.Future[Any]]] = []
        self._trips: set[asyncio.Task[None]] = set()
        self._under_way = 0
        self._idle: list[AbstractConnection] = []

    async def run(self, *words: Word) -> Any:
        """Return the reply to a command."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        self._waiting.append((words, answer))
        if self._under_way < self._at_once:
            self._under_way += 1
            trip = loop.create_task(self._travel(), name="redis commands")
            self._trips.add(trip)
            trip.add_done_callback(self._trips.discard)
        timer = loop.call_later(self._timeout, _give_up, answer)
        try:
            return await answer
        finally:
            timer.cancel()

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
        connection = self._idle.pop() if self._idle else await self._pool.get_connection()  # type: ignore[no-untyped-call] # theirs
        try:
            if not connection.is_connected or await connection.can_read():
                # Redis has closed it since, or it is new.
                await self._pool.ensure_connection(connection)
            await connection.send_packed_command((_packed(words) for words in commands), check_health=False)
            return [await _reply(connection) for _ in commands]
        except BaseException:
            # Replies may be on their way to nobody.
            await connection.disconnect(nowait=True)
            raise
        finally:
            self._idle.append(connection)

    async def close(self) -> None:
        """Give up what is under way. The client's end is that of the connections."""
        await end(*self._trips)


def _give_up(answer: asyncio.Future[Any]) -> None:
    if not answer.done():
        answer.set_exception(unavailable(TimeoutError()))


def _packed(words: tuple[Word, ...]) -> bytes:
    # In C: the client's own takes ten times as long.
    return pack_command(words)  # type: ignore[arg-type, no-any-return] # they say that it takes one word


async def _reply(connection: AbstractConnection) -> Any:
    try:
        return await connection.read_response()
    except ResponseError as error:
        return unavailable(error)


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
