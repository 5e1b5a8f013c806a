"""The proxy that speaks Redis' protocol: all passes as it came, but for what it is told to hold."""

import asyncio
from functools import partial

import pytest
from redis.asyncio import Redis

from tests.support.redis_proxy import Command, Meddling, Push, RedisProxy
from tests.support.waiting import eventually


class Gate(Meddling):
    """Holds back commands of one name, their answers, or messages, until it is opened."""

    def __init__(self, *, commands: bytes = b"", answers: bytes = b"", messages: bool = False) -> None:
        self.opened = asyncio.Event()
        self.held = 0
        self._commands = commands
        self._answers = answers
        self._messages = messages

    async def command(self, command: Command) -> None:
        """Hold it, if it is one of those."""
        await self._hold(command.words[0] == self._commands)

    async def answer(self, command: Command) -> None:
        """Hold it, if it is one of those."""
        await self._hold(command.words[0] == self._answers)

    async def push(self, push: Push) -> None:
        """Hold it, if it is one of those."""
        await self._hold(self._messages and push.is_message)

    async def _hold(self, asked: bool) -> None:
        if asked:
            self.held += 1
            await self.opened.wait()


async def test_commands_and_answers_pass_in_their_order(redis_url: str) -> None:
    """Single ones, transactions, errors, and large values."""
    async with RedisProxy(redis_url) as proxy, Redis.from_url(proxy.url, protocol=2) as client:
        await client.set("large", "x" * 300_000)
        assert await client.strlen("large") == 300_000
        pipeline = client.pipeline(transaction=True)
        pipeline.incr("large")
        pipeline.set("small", "1")
        pipeline.get("small")
        failed, *others = await pipeline.execute(raise_on_error=False)
        assert isinstance(failed, Exception)
        assert others == [True, b"1"]


@pytest.mark.parametrize(("side", "written"), [("commands", None), ("answers", b"value")])
async def test_a_held_command_has_not_reached_the_server(redis_url: str, side: str, written: bytes | None) -> None:
    """… and one whose answer is held has; both are done in the end."""
    async with RedisProxy(redis_url) as proxy, Redis.from_url(proxy.url, protocol=2) as client:
        proxy.meddling = gate = Gate(commands=b"SET") if side == "commands" else Gate(answers=b"SET")
        writing = asyncio.ensure_future(client.set("key", "value"))
        await eventually(lambda: gate.held)
        async with Redis.from_url(redis_url) as direct:
            await eventually(partial(reads, direct, written))
            gate.opened.set()
            await writing
            assert await direct.get("key") == b"value"


async def reads(client: Redis, written: bytes | None) -> bool:
    """Tell whether that is what was written."""
    return bool(await client.get("key") == written)


async def test_messages_alone_are_held(redis_url: str) -> None:
    """A subscription is confirmed while its messages wait, and they come in the end."""
    async with (
        RedisProxy(redis_url) as proxy,
        Redis.from_url(proxy.url, protocol=2) as client,
        client.pubsub() as subscription,
    ):
        proxy.meddling = gate = Gate(messages=True)
        await subscription.subscribe("channel")
        confirmed = await subscription.get_message(timeout=5)
        assert confirmed is not None
        assert confirmed["type"] == "subscribe"
        assert len(proxy.subscribers()) == 1
        await client.publish("channel", "word")
        await eventually(lambda: gate.held)
        assert await subscription.get_message(timeout=0.05) is None
        gate.opened.set()
        message = await subscription.get_message(timeout=5)
        assert message is not None
        assert message["data"] == b"word"
