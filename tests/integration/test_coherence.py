"""Processes over one real Redis, with the test as their listener: what each of them may answer, and when."""

import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from urllib.parse import urlsplit, urlunsplit

import pytest
from redis.asyncio import Redis

from coherence.events import ViewPolled
from tests.support.coherences import Deployment, Replica, Vouching
from tests.support.waiting import eventually


@pytest.fixture
def deployment(redis_url: str, cache_prefix: str) -> Deployment:
    """A deployment in the shared Redis."""
    return Deployment(redis_url, cache_prefix)


@pytest.fixture
async def listener(deployment: Deployment) -> AsyncIterator[Vouching]:
    """The test's part as the listener, renewing in the background."""
    async with deployment.listener() as listener, listener.vouching():
        yield listener


@pytest.fixture
async def replicas(deployment: Deployment, listener: Vouching) -> AsyncIterator[list[Replica]]:
    """Two processes that cache."""
    del listener
    async with AsyncExitStack() as stack:
        started = [await stack.enter_async_context(deployment.replica()) for _ in range(2)]
        for replica in started:
            await replica.caching()
        yield started


class User:
    """A user of Redis, who may or may not subscribe."""

    def __init__(self, redis: Redis) -> None:
        self.name = f"user-{uuid.uuid4().hex}"
        self._redis = redis

    async def may(self, channels: str) -> None:
        """Let the user do everything, but subscribe to `channels` alone; a subscription beyond them is cut off."""
        await self._redis.acl_setuser(
            self.name,
            enabled=True,
            nopass=True,
            reset_channels=True,
            channels=[channels],
            keys=["*"],
            categories=["+@all"],
        )

    def url(self, url: str) -> str:
        """Return `url` as this user's."""
        parts = urlsplit(url)
        return urlunsplit(parts._replace(netloc=f"{self.name}:any@{parts.hostname}:{parts.port}"))


@pytest.fixture
async def user(listener: Vouching) -> AsyncIterator[User]:
    """A user who may do everything."""
    user = User(listener.redis)
    await user.may("*")
    yield user
    await listener.redis.acl_deluser(user.name)


async def test_a_process_that_is_not_subscribed_answers_nothing_from_its_caches(
    deployment: Deployment, replicas: list[Replica], user: User
) -> None:
    """A change made meanwhile waits for nobody who does not get the message, so such a process bypasses."""
    async with deployment.replica(user.url(deployment.redis_url)) as deaf:
        await deaf.caching()
        await deaf.get()
        assert (await deaf.get()).layer == "l1"
        await user.may("none")
        await deaf.bypassing()
        polls = len(deaf.seen(ViewPolled))
        await eventually(lambda: len(deaf.seen(ViewPolled)) > polls + 2)
        published = await replicas[0].put(b"new")
        assert published.acknowledged == published.expected == 2
        answer = await deaf.get()
        assert (answer.body, answer.reason) == (b"new", "no-lease")
        await user.may("*")
        await deaf.caching()
        assert (await deaf.get()).body == b"new"
