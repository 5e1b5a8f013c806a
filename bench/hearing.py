"""Hears the changes beside the processes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

from redis.asyncio import Redis
from redis.asyncio.client import PubSub

from coherence.keys import Names
from coherence.tasks import end


class Hearing:
    """A subscription to the changes."""

    def __init__(self) -> None:
        self._next: asyncio.Future[None] | None = None

    @classmethod
    @asynccontextmanager
    async def of(cls, url: str, prefix: str) -> AsyncIterator[Self]:
        """Hear the changes of the deployment with this prefix."""
        async with Redis.from_url(url) as redis, redis.pubsub() as subscription:
            await subscription.subscribe(Names(prefix).changes)
            hearing = cls()
            task = asyncio.create_task(hearing._listen(subscription))
            try:
                yield hearing
            finally:
                await end(task)

    def next(self) -> "asyncio.Future[None]":
        """Return what is done when the next change is heard."""
        self._next = asyncio.get_running_loop().create_future()
        return self._next

    async def _listen(self, subscription: PubSub) -> None:
        async for message in subscription.listen():
            if message["type"] == "message" and self._next is not None and not self._next.done():
                self._next.set_result(None)
