"""The subscription and the poll, on a real Redis and through a network that misbehaves."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from coherence.acknowledgements import Acknowledgements
from coherence.backplane import Backplane
from coherence.changes import Bump, Change
from coherence.clock import RedisClock, monotonic
from coherence.events import Event, Invalidated, Operated, Subscribed, ViewPolled
from coherence.generation import GenerationKey
from coherence.keys import Names
from coherence.query import Query
from coherence.redis_client import connect
from coherence.tasks import end
from coherence.timing import Timing
from coherence.view import Polled, Received, View
from tests.support.clocks import HandClock
from tests.support.coherences import Deployment, Replica, Vouching
from tests.support.proxy import Proxy
from tests.support.waiting import eventually


@pytest.fixture
async def replica(deployment: Deployment, listener: Vouching) -> AsyncIterator[Replica]:
    """A process that caches."""
    del listener
    async with deployment.replica() as replica:
        await replica.caching()
        yield replica


def outcomes(replica: Replica) -> list[Polled]:
    """Return what its polls showed, oldest first."""
    return [event.outcome for event in replica.seen(ViewPolled)]


async def polled(replica: Replica, outcome: Polled) -> None:
    """Wait until a poll shows `outcome`."""
    await eventually(lambda: outcome in outcomes(replica), within=10)


# -- messages


async def test_a_bump_is_applied_and_its_latency_told(listener: Vouching, replica: Replica) -> None:
    """The latency is from its making, by Redis' clock, to its application here."""
    generation = await listener.bump("anomalies")
    await replica.at(generation)
    event = replica.seen(Invalidated)[-1]
    assert (event.bump.generation, event.received) == (generation, Received.APPLIED)
    assert event.bump.changes == (Change("anomalies", "update"),)
    assert event.latency is not None
    assert 0 <= event.latency < 5


async def test_messages_of_another_database_are_ignored(listener: Vouching, replica: Replica) -> None:
    """Channels span the databases of a Redis: a deployment in another one, with the same prefix, is another."""
    ours, others = listener.names, (listener.names.database + 1) % 16
    later = replica.coherence.view.generation + 1_000_000
    await listener.redis.publish(ours.changes, wire(later, database=others))
    generation = await listener.bump("anomalies")
    await replica.at(generation)
    assert {event.bump.database for event in replica.seen(Invalidated)} == {ours.database}
    assert replica.seen(Invalidated)[-1].received is Received.APPLIED


def wire(generation: int, **fields: object) -> bytes:
    """Return a message that says that everything changed."""
    made = {
        "previous": generation - 1,
        "generation": generation,
        "changes": [[None, "update", 1]],
        "made_at_us": 1,
        "database": 0,
        "acknowledge": False,
        **fields,
    }
    return json.dumps(made).encode()


@pytest.mark.parametrize(
    "garbage",
    [b"", b"garbage", b"{}", b"[" * 5000, b"\xff\xfe\x00", wire(2, made_at_us=10**400), wire(2, previous="1")],
    ids=["empty", "text", "no fields", "deep", "no UTF-8", "a number beyond all bounds", "a wrong type"],
)
async def test_a_message_that_cannot_be_read_stands_for_anything(
    listener: Vouching, replica: Replica, garbage: bytes
) -> None:
    """Nobody knows what it said: the view ends at once, is reported, and begins anew with the next poll."""
    before = len(outcomes(replica))
    await listener.redis.publish(listener.names.changes, garbage)
    await eventually(lambda: any("cannot be read" in (event.error or "") for event in replica.seen(Operated)))
    await eventually(lambda: Polled.ADOPTED in outcomes(replica)[before:], within=10)
    await replica.caching()
    generation = await listener.bump("anomalies")
    await replica.at(generation)
    assert replica.seen(Invalidated)[-1].received is Received.APPLIED


async def test_an_acknowledgement_that_cannot_be_read_is_no_harm(listener: Vouching, replica: Replica) -> None:
    """It is reported; those that can be read go on being heard."""
    for garbage in (b"", b"{}", b'{"generation": "x", "process": 1}'):
        await listener.redis.publish(listener.names.acknowledgements, garbage)
    await eventually(lambda: len([e for e in replica.seen(Operated) if "acknowledgement" in (e.error or "")]) == 3)
    assert replica.valid
    published = await replica.put(b"new")
    assert published.acknowledged == published.expected == 1


async def test_a_message_that_comes_again_does_nothing(listener: Vouching, replica: Replica) -> None:
    """Late and doubled messages are old."""
    generation = await listener.bump("anomalies")
    await replica.at(generation)
    again = wire(generation, database=listener.names.database)
    await listener.redis.publish(listener.names.changes, again)
    await eventually(lambda: replica.seen(Invalidated)[-1].received is Received.OLD)
    assert replica.valid
    assert replica.coherence.view.generation == generation


async def test_a_message_that_never_comes_is_found_by_the_poll(listener: Vouching, replica: Replica) -> None:
    """The poll sees a generation that nobody told: everything changed, and the subscription is made anew."""
    await replica.get()
    subscriptions = len(replica.seen(Subscribed))
    lost = listener.floor + 1_000_000
    await listener.redis.set(listener.names.generation, lost, keepttl=True)
    replica.database.row = b"new"
    await polled(replica, Polled.MISSED)
    seen = outcomes(replica)
    assert seen[seen.index(Polled.MISSED) - 1] is Polled.BEHIND
    await eventually(lambda: len(replica.seen(Subscribed)) > subscriptions)
    await replica.caching()
    assert (await replica.get()).body == b"new"


# -- what Redis loses


async def test_a_redis_that_fell_behind_is_lifted_and_everything_changed(
    deployment: Deployment, listener: Vouching, replica: Replica
) -> None:
    """What a process knows to be lost it announces: caches that never heard of it drop what they have."""
    async with deployment.replica() as other:
        await other.caching()
        await other.get()
        behind = replica.coherence.view.generation - 1000
        await listener.redis.set(listener.names.generation, behind, keepttl=True)
        listener.floor = 0
        await polled(replica, Polled.AHEAD)
        await eventually(lambda: any(causes(event) == ["redis-behind"] for event in replica.seen(Invalidated)))
        other.database.row = b"new"
        for process in (replica, other):
            await process.caching()
            assert (await process.get()).body == b"new"


def causes(event: Invalidated) -> list[str]:
    """Return why a bump was made."""
    return [change.cause for change in event.bump.changes]


@pytest.mark.parametrize("how", ["FLUSHALL", "DEL", "garbage", "another type"])
async def test_a_generation_that_is_gone_ends_the_lease_until_the_next_renewal(
    listener: Vouching, replica: Replica, how: str
) -> None:
    """Flushed, deleted or overwritten: caching goes on with a new generation, in which everything changed."""
    await replica.get()
    before = replica.coherence.view.generation
    name = listener.names.generation
    match how:
        case "FLUSHALL":
            await listener.redis.flushdb()
        case "DEL":
            await listener.redis.delete(name)
        case "garbage":
            await listener.redis.set(name, "garbage", px=60_000)
        case _:
            await listener.redis.delete(name)
            await listener.redis.rpush(name, "x")
    replica.database.row = b"new"
    await replica.at(before + 1)
    await replica.caching()
    answer = await replica.get()
    assert (answer.body, answer.layer) == (b"new", "db")
    assert (await replica.get()).layer == "l1"


async def test_a_clock_that_is_set_back_ends_the_view_for_a_while(redis_url: str, cache_prefix: str) -> None:
    """Redis' clock falls behind ours at once: no lease is believed until those from before have surely ended."""
    deployment = Deployment(redis_url, cache_prefix, bound=1.0)
    shift = HandClock(0.0)
    async with (
        deployment.listener() as listener,
        listener.vouching(),
        deployment.replica(clock=lambda: monotonic() + shift.now) as replica,
    ):
        await replica.caching()
        await replica.get()
        shift.advance(0.3)
        await polled(replica, Polled.CLOCK_SET_BACK)
        assert not replica.valid
        began = monotonic()
        await replica.caching(within=20)
        assert monotonic() - began > 2 * listener.timing.lease - 0.3


# -- connections


async def test_subscriptions_that_are_killed_are_made_anew_every_time(listener: Vouching, replica: Replica) -> None:
    """However often: no connection is lost by it, and no change."""

    async def subscribers() -> int:
        clients = await listener.redis.client_list(_type="pubsub")
        return sum(client["db"] == str(listener.names.database) for client in clients)

    for turn in range(12):
        row = f"row {turn}".encode()
        subscriptions = len(replica.seen(Subscribed))
        await replica.get()
        for client in await listener.redis.client_list(_type="pubsub"):
            if client["db"] == str(listener.names.database):
                await listener.redis.client_kill_filter(_id=client["id"])
        await listener.commit(row)
        await eventually(lambda: len(replica.seen(Subscribed)) > subscriptions)  # noqa: B023 - awaited in this turn
        await replica.caching()
        assert (await replica.get()).body == row
        assert await subscribers() == 1
    assert replica.coherence.backplane.reachable


@dataclass
class Roundabout:
    """A backplane whose subscription goes by another way than its polls and bumps."""

    backplane: Backplane
    view: View
    events: list[Event]
    in_time: list[None]

    def valid(self) -> bool:
        """Tell whether its view may be relied on."""
        return self.view.valid(monotonic())

    def showed(self, outcome: Polled) -> bool:
        """Tell whether a poll has shown `outcome`."""
        return any(isinstance(event, ViewPolled) and event.outcome is outcome for event in self.events)


@asynccontextmanager
async def roundabout(
    deployment: Deployment, subscription_url: str, *, poll_url: str | None = None, timeout: float = 1.0
) -> AsyncIterator[Roundabout]:
    """Run a backplane whose subscription goes to `subscription_url`."""
    events: list[Event] = []
    in_time: list[None] = []
    settings = deployment.settings(poll_url)
    timing = Timing.from_bound(deployment.bound)
    names = Names(deployment.prefix, int(deployment.redis_url.rpartition("/")[2]))
    direct, around = connect(settings, connections=4), connect(deployment.settings(subscription_url), connections=4)
    view = View(timing.lease)
    backplane = Backplane(
        redis=around,
        names=names,
        key=GenerationKey(direct, names, timeout),
        view=view,
        redis_clock=RedisClock(),
        acknowledgements=Acknowledgements(),
        process="test",
        poll_interval=timing.poll_interval,
        timeout=timeout,
        clock=monotonic,
        observer=events.append,
        on_answer=lambda: in_time.append(None),
    )
    tasks = [asyncio.create_task(backplane.listen()), asyncio.create_task(backplane.poll())]
    try:
        yield Roundabout(backplane, view, events, in_time)
        assert not any(task.done() for task in tasks)
    finally:
        await end(*tasks)
        await direct.aclose()
        await around.aclose()


async def test_a_subscription_that_has_gone_deaf_is_found_and_left(deployment: Deployment, listener: Vouching) -> None:
    """The connection is there, and silent: a poll shows what it missed. Nothing is relied on until it is mended."""
    async with Proxy(deployment.redis_url) as proxy, roundabout(deployment, proxy.url) as deaf:
        await eventually(deaf.valid, within=10)
        proxy.stall()
        generation = await listener.bump("anomalies")
        await eventually(lambda: deaf.showed(Polled.MISSED), within=10)
        assert deaf.view.generation >= generation
        await eventually(lambda: deaf.showed(Polled.UNSUBSCRIBED), within=10)
        assert not deaf.valid()
        proxy.resume()
        await eventually(deaf.valid, within=10)
        generation = await listener.bump("anomalies")
        await eventually(lambda: deaf.view.generation >= generation)


async def test_a_poll_is_waited_for_longer_than_a_request_would(redis_url: str, cache_prefix: str) -> None:
    """An answer that is late for a request still proves the view; it does not show that requests can be answered."""
    deployment = Deployment(redis_url, cache_prefix, bound=6.0)
    async with (
        deployment.listener() as listener,
        listener.vouching(),
        Proxy(redis_url, latency=0.06) as proxy,
        roundabout(deployment, redis_url, poll_url=proxy.url, timeout=0.05) as slow,
    ):
        await eventually(slow.valid, within=20)
        assert not slow.in_time


async def test_a_process_applies_its_own_change_before_any_message_of_it(
    deployment: Deployment, listener: Vouching
) -> None:
    """Its view has the change when the bump is answered, however late the subscription is."""
    async with Proxy(deployment.redis_url) as proxy, roundabout(deployment, proxy.url) as late:
        await eventually(late.valid, within=10)
        await eventually(lambda: late.view.generation >= listener.floor)
        proxy.stall()
        generation, _ = await late.backplane.announce([Change("anomalies", "put")])
        assert late.view.generation == generation
        assert late.valid()
        assert not late.view.unaffected(Query("anomalies"), generation - 1)
        assert late.view.unaffected(Query("transactions"), generation - 1)


async def test_a_network_that_resets_refuses_and_stalls_is_survived(redis_url: str, cache_prefix: str) -> None:
    """Whatever it does, no old answer is given past the bound, and caching is back when it is."""
    deployment = Deployment(redis_url, cache_prefix, bound=1.0)
    async with (
        deployment.listener() as listener,
        listener.vouching(),
        Proxy(redis_url) as proxy,
        deployment.replica(proxy.url, redis_timeout_ms=250) as replica,
    ):
        for turn, fault in enumerate((proxy.reset, proxy.stall, proxy.refuse, proxy.reset, proxy.stall)):
            await replica.caching(within=20)
            await replica.get()
            fault()
            row = f"row {turn}".encode()
            await listener.commit(row)
            bound = monotonic() + deployment.bound
            await eventually(lambda: monotonic() > bound)  # noqa: B023 - awaited in this turn
            assert (await replica.get()).body == row
            proxy.resume()
            await proxy.accept()
        await replica.caching(within=20)
        assert (await replica.get()).body == row


async def test_bumps_are_read_from_the_wire_as_they_were_made(listener: Vouching, replica: Replica) -> None:
    """What a listener is told of its bump, and what the processes get, is one and the same."""
    bumped = await listener.key.bump(listener.floor, [Change("anomalies", "update", 3), Change(None, "gap", 0)])
    await replica.at(bumped.bump.generation)
    assert replica.seen(Invalidated)[-1].bump == bumped.bump
    assert isinstance(bumped.bump, Bump)
