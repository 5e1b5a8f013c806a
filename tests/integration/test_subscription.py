"""A subscription on a real Redis."""

from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from coherence.redis_client import RedisUnavailable, connect
from coherence.settings import CoherenceSettings
from coherence.subscription import Message, Subscription


@pytest.fixture
async def subscription(redis_url: str) -> AsyncIterator[Subscription]:
    """A subscription that is heard."""
    async with connect(CoherenceSettings(redis_url=SecretStr(redis_url)), connections=2) as redis:
        subscription = Subscription(redis, "changes")
        await subscription.open()
        assert await subscription.next() == Message(b"subscribe", b"changes", 1)
        await redis.publish("changes", "something")
        yield subscription
        await subscription.close()


async def test_what_is_published_is_heard(subscription: Subscription) -> None:
    """It comes with its channel."""
    assert await subscription.next() == Message(b"message", b"changes", b"something")


async def test_an_answer_that_is_no_message_ends_it(subscription: Subscription) -> None:
    """Nothing that Redis sends is taken for a message because it comes where one is due."""
    await subscription.next()
    assert subscription._connection is not None
    await subscription._connection.send_command("PING", check_health=False)
    with pytest.raises(RedisUnavailable, match="no message of a subscription: \\[b'pong'"):
        await subscription.next()
