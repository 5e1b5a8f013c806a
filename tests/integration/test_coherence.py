"""Processes over one real Redis, with the test as their listener: what each of them may answer, and when."""

import asyncio
import traceback
import uuid
from collections.abc import AsyncIterator, Awaitable
from urllib.parse import urlsplit, urlunsplit

import pytest
from redis.asyncio import Redis

from coherence.changes import Change
from coherence.coherence import Coherence
from coherence.events import Acknowledged, Event, Invalidated, Subscribed, ViewPolled
from coherence.view import Polled
from tests.support.coherences import Deployment, Replica, Vouching
from tests.support.waiting import eventually


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


async def test_a_change_reaches_every_process_at_once(listener: Vouching, replicas: list[Replica]) -> None:
    """A commit behind their backs ends what they have in memory; Redis has the new answer for the second."""
    one, other = replicas
    assert (await one.get()).layer == "db"
    await one.stored()
    assert [(await other.get()).layer for _ in range(2)] == ["l2", "l1"]
    generation = await listener.commit(b"new")
    for replica in replicas:
        await replica.at(generation)
    assert (await one.get()).body == b"new"
    await one.stored_since(generation)
    answer = await other.get()
    assert (answer.body, answer.layer) == (b"new", "l2")


async def test_a_change_of_another_namespace_leaves_what_is_cached(listener: Vouching, replicas: list[Replica]) -> None:
    """It costs nobody an entry."""
    one, other = replicas
    await one.get()
    await one.stored()
    generation = await listener.commit(b"new", "transactions")
    for replica in replicas:
        await replica.at(generation)
    assert (await one.get()).layer == "l1"
    assert (await other.get()).layer == "l2"


async def test_after_a_put_every_process_answers_anew(replicas: list[Replica]) -> None:
    """When publish returns, all who got the message have applied it: a read through any of them sees the change."""
    for turn in range(50):
        for replica in replicas:
            await replica.get()
        row = f"row {turn}".encode()
        published = await replicas[turn % 2].put(row)
        assert published.acknowledged == published.expected == 2
        for replica in replicas:
            assert (await replica.get()).body == row


async def test_puts_at_once_are_each_seen_everywhere(replicas: list[Replica]) -> None:
    """Concurrent changes through both processes: each, once it has returned, is seen by both."""

    async def put(number: int) -> None:
        published = await replicas[number % 2].coherence.publish([Change("anomalies", "put")])
        assert published.generation is not None
        assert published.acknowledged == published.expected == 2
        for replica in replicas:
            assert replica.coherence.view.generation >= published.generation

    await asyncio.gather(*(put(number) for number in range(40)))


async def test_a_put_does_not_wait_for_ever(deployment: Deployment, listener: Vouching) -> None:
    """One that gets the message and says nothing is waited for no longer than the wait may be."""
    async with deployment.replica(ack_timeout=0.2) as replica:
        await replica.caching()
        pubsub = listener.redis.pubsub()
        await pubsub.subscribe(listener.names.acknowledgements)
        assert await pubsub.get_message(timeout=5.0)
        published = await replica.put(b"new")
        assert (published.acknowledged, published.expected) == (1, 2)
        assert [(event.received, event.expected) for event in replica.seen(Acknowledged)] == [(1, 2)]
        assert (await replica.get()).body == b"new"
        await pubsub.aclose()  # type: ignore[no-untyped-call] # the client's types stop here


async def test_a_reader_who_knows_of_a_newer_generation_gets_no_older_answer(
    listener: Vouching, replicas: list[Replica]
) -> None:
    """A process that has not caught up goes to the database; one that has answers from its caches."""
    one, _ = replicas
    await one.get()
    generation = await listener.commit(b"new")
    answer = await one.get(at_least=generation + 1)
    assert (answer.body, answer.reason) == (b"new", "request")
    await one.at(generation)
    await one.get(at_least=generation)
    assert (await one.get(at_least=generation)).layer == "l1"


async def test_without_a_listener_every_request_loads(deployment: Deployment) -> None:
    """Nobody vouches for the caches, so they are not asked, and nothing is kept; changes are announced all the same."""
    async with deployment.replica() as one, deployment.replica() as other:
        await eventually(lambda: Polled.NO_LEASE in {event.outcome for event in one.seen(ViewPolled)[-1:]})
        for turn in range(3):
            row = f"row {turn}".encode()
            published = await other.put(row)
            assert published.generation is not None
            answer = await one.get()
            assert (answer.body, answer.forward, answer.reason) == (row, "bypass", "no-lease")
        assert await one.coherence.redis.keys("*") == []
        assert len(one.coherence.l1) == 0


async def none_of(count: Awaitable[int]) -> bool:
    """Tell whether a command counts none."""
    return await count == 0


async def test_when_the_listener_ends_so_does_the_cache(redis_url: str, cache_prefix: str) -> None:
    """Past the end of its lease no answer comes from memory; with the next listener caching begins anew."""
    deployment = Deployment(redis_url, cache_prefix, bound=1.0)
    async with deployment.replica() as replica:
        async with deployment.listener() as listener, listener.vouching():
            await replica.caching()
            await replica.get()
        deployment.database.row = b"new"
        name = replica.coherence.names.generation
        await eventually(lambda: none_of(replica.coherence.redis.exists(name)))
        await replica.bypassing()
        assert (await replica.get()).body == b"new"
        async with deployment.listener() as listener, listener.vouching():
            await replica.caching()
            assert (await replica.get()).body == b"new"


async def test_two_deployments_in_one_redis_do_not_hear_of_each_other(
    redis_url: str, deployment: Deployment, listener: Vouching
) -> None:
    """Behind another prefix a change costs nothing here, nor is there an acknowledgement to wait for."""
    other = Deployment(redis_url, f"other-{deployment.prefix}")
    async with deployment.replica() as here, other.replica() as there:
        await here.caching()
        await here.get()
        published = await there.put(b"new")
        assert (published.acknowledged, published.expected) == (1, 1)
        assert (await there.get()).reason == "no-lease"
        await listener.bump("transactions")
        assert (await here.get()).layer == "l1"
        assert len(here.seen(Invalidated)) < 5


async def test_a_process_leaves_nothing_running(deployment: Deployment, listener: Vouching) -> None:
    """Its connections and its tasks end with it, whatever was under way."""

    async def connections() -> int:
        clients = await listener.redis.client_list()
        return sum(client["db"] == str(listener.names.database) for client in clients)

    before, connected = set(asyncio.all_tasks()), await connections()
    async with deployment.replica() as replica:
        await replica.caching()
        deployment.database.hold()
        loads = [asyncio.create_task(replica.get(bypass=bypass)) for bypass in (None, "admin")]
        await eventually(lambda: len(deployment.database.held) == 2)
        replica.coherence.sweep("anomalies")
    outcomes = await asyncio.gather(*loads, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError] * 2
    assert asyncio.all_tasks() - before == set()

    async def gone() -> bool:
        return await connections() <= connected

    await eventually(gone)


async def test_a_background_task_that_fails_is_seen(deployment: Deployment) -> None:
    """It does not die in silence: what the caller watches ends with its error."""

    def observer(event: Event) -> None:
        if isinstance(event, Subscribed):
            raise ZeroDivisionError

    settings = deployment.settings()
    coherence = Coherence(settings, l1_bytes=0, max_loads=1, ack_timeout=0.1, observer=observer)
    async with coherence.running() as task:
        await asyncio.wait([task], timeout=10)
        assert task.done()
        with pytest.raises(BaseException) as failure:  # noqa: PT011 - the error, or a group with it
            task.result()
        assert "ZeroDivisionError" in "".join(traceback.format_exception(failure.value))
