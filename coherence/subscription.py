"""A subscription to channels of Redis."""

import math
from typing import NamedTuple

from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError

from coherence.redis_client import bounded


class Message(NamedTuple):
    """What came: the `kind` ("message", "subscribe"), its channel, and what was published, or how many channels."""

    kind: bytes
    channel: bytes
    data: bytes | int


class Subscription:
    """Hears `channels` from `open` on. Whatever fails raises RedisUnavailable, and only `close` is of use after it.

    It has a connection of the client's pool. The client's own PubSub costs several times as much for each message.
    """

    def __init__(self, redis: Redis, *channels: str) -> None:
        self._pool = redis.connection_pool
        self._channels = channels
        self._connection: AbstractConnection | None = None

    async def open(self) -> None:
        """Ask for the channels: a message of each says that it is heard from there on."""
        async with bounded(None):
            self._connection = await self._pool.get_connection()  # type: ignore[no-untyped-call] # theirs
            await self._connection.send_command("SUBSCRIBE", *self._channels, check_health=False)

    async def next(self) -> Message:
        """Return the next message, however long that takes to come."""
        assert self._connection is not None  # noqa: S101 - it is open
        async with bounded(None):
            match await self._connection.read_response(timeout=math.inf):
                case [bytes(kind), bytes(channel), bytes() | int() as data]:
                    return Message(kind, channel, data)
                case other:
                    raise RedisError(f"no message of a subscription: {other!r:.80}")

    async def close(self) -> None:
        """Hear no more."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await connection.disconnect(nowait=True)
            await self._pool.release(connection)
