"""Faults of the subscription: the messages of the backplane do not come, or come late, while polls work well."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import ClassVar

from redis.asyncio import Redis

from tests.chaos.faults.fault import Fault, Repeated
from tests.support.processes import Program
from tests.support.redis_proxy import Command, Meddling, Push, RedisProxy
from tests.support.waiting import eventually


@dataclass
class SubscriptionsKilled(Repeated):
    """Redis ends every subscription, again and again."""

    name: ClassVar[str] = "subscriptions killed"
    redis: Redis
    every: float = 0.3

    async def strike(self) -> None:
        """End them."""
        await self.redis.client_kill_filter(_type="pubsub")


@dataclass
class SubscriptionsSilent(Fault, Meddling):
    """The subscriptions that there are fall silent without a FIN; new ones work. All that was sent comes in the end."""

    name: ClassVar[str] = "subscriptions silent"
    proxy: RedisProxy
    silent: frozenset[int] = frozenset()
    """Those that fell silent."""
    _healed: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self) -> None:
        """Let nothing through on the connections that subscribe now."""
        self._healed.clear()
        self.silent = self.proxy.subscribers()
        self.proxy.meddling = self

    async def heal(self) -> None:
        """Let all through."""
        self.proxy.meddling = Meddling()
        self._healed.set()

    async def command(self, command: Command) -> None:
        """Hold back what a silent connection says."""
        if command.connection in self.silent:
            await self._healed.wait()

    async def push(self, push: Push) -> None:
        """Hold back what a silent connection hears."""
        if push.connection in self.silent:
            await self._healed.wait()


@dataclass
class MessagesLate(Fault, Meddling):
    """Published messages take `seconds` longer; all else that passes, new subscriptions too, is as fast as ever."""

    name: ClassVar[str] = "messages late"
    proxy: RedisProxy
    seconds: float = 5.0

    async def start(self) -> None:
        """Delay the messages from here on."""
        self.proxy.meddling = self

    async def heal(self) -> None:
        """Delay no more: what is on its way is late still."""
        self.proxy.meddling = Meddling()

    async def push(self, push: Push) -> None:
        """Hold a message back for its time."""
        if push.is_message:
            await asyncio.sleep(push.arrived + self.seconds - time.monotonic())


@dataclass
class SubscriberOverflown(Fault):
    """A process is stopped, and so much is published that Redis drops its subscription for its output buffer.

    What is published is about another of the server's databases, which share their channels.
    """

    name: ClassVar[str] = "subscriber overflown"
    redis: Redis
    program: Program
    channel: str
    other_database: int = 15
    message_bytes: int = 200_000

    async def start(self) -> None:
        """Stop the process, and publish until its subscription is gone."""
        subscribed = await self._subscriptions()
        await self.redis.config_set("client-output-buffer-limit", "pubsub 1mb 512kb 1")
        self.program.pause()
        await eventually(lambda: self._overflow(subscribed), within=30.0)

    async def heal(self) -> None:
        """Let the process run on."""
        self.program.resume()
        await self.redis.config_set("client-output-buffer-limit", "pubsub 32mb 8mb 60")

    async def _overflow(self, subscribed: int) -> bool:
        changes = f'[["{"x" * self.message_bytes}","UPDATE",1]]'
        for generation in range(1, 20):
            await self.redis.publish(
                self.channel,
                f'{{"previous":0,"generation":{generation},"changes":{changes},"made_at_us":0,'
                f'"database":{self.other_database},"acknowledge":false}}',
            )
        return await self._subscriptions() < subscribed

    async def _subscriptions(self) -> int:
        return len(await self.redis.client_list(_type="pubsub"))
