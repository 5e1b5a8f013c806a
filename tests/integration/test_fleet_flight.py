"""One load for all processes over a real Redis, and what becomes of it when its process fails, or a change comes."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial

import pytest

from coherence.answer import Answer
from coherence.events import Operated, Refreshed, TurnTaken
from tests.support.coherences import QUERY, Deployment, Replica, Vouching
from tests.support.waiting import eventually

PATIENCE = 30.0
"""Seconds: so that nobody loads for having waited too long."""


@pytest.fixture
async def fleet(deployment: Deployment, listener: Vouching) -> AsyncIterator[list[Replica]]:
    """Three processes of the deployment, which cache, and wait long for each other."""
    del listener
    async with AsyncExitStack() as stack:
        started = [await stack.enter_async_context(deployment.replica(fleet_patience=PATIENCE)) for _ in range(3)]
        for replica in started:
            await replica.caching()
        yield started


async def ask_all(fleet: list[Replica], times: int) -> list[Answer]:
    """Ask every process at once, each so many times, with a load that ends when all have asked."""
    database = fleet[0].database
    database.hold()
    tasks = [asyncio.create_task(replica.get()) for replica in fleet for _ in range(times)]
    looks = [len(replica.seen(Operated)) for replica in fleet]
    await eventually(lambda: database.held, within=20)
    await eventually(lambda: all(len(r.seen(Operated)) > n for r, n in zip(fleet, looks, strict=True)), within=20)
    database.release()
    return await asyncio.gather(*tasks)


async def test_a_cold_answer_is_loaded_once_for_all(fleet: list[Replica]) -> None:
    """A hundred requests at once in each of three processes make one load; two processes get what the third loads."""
    answers = await ask_all(fleet, 100)
    assert {answer.body for answer in answers} == {b"old"}
    assert fleet[0].database.loads == 1
    taken = [event.outcome for replica in fleet for event in replica.seen(TurnTaken)]
    assert sorted(taken) == ["shared", "shared", "won"]


async def test_after_a_change_a_hot_answer_is_loaded_once_for_all(fleet: list[Replica], listener: Vouching) -> None:
    """What every process has in memory is outdated at once in all of them, and is read from the database once."""
    await ask_all(fleet, 1)
    generation = await listener.commit(b"new")
    for replica in fleet:
        await replica.at(generation)
    answers = await ask_all(fleet, 100)
    assert {answer.body for answer in answers} == {b"new"}
    assert fleet[0].database.loads == 2


async def test_a_process_that_died_while_loading_holds_nobody_up_for_long(
    deployment: Deployment, fleet: list[Replica]
) -> None:
    """Its turn is over when it was to be, or the others have waited long enough; then they load."""
    async with deployment.replica(fleet_patience=0.3) as impatient:
        await impatient.caching()
        name = impatient.coherence.names.turn(QUERY.key)
        dead = b"%d dead" % impatient.coherence.view.generation
        await impatient.coherence.redis.set(name, dead, px=600_000)
        began = time.monotonic()
        assert (await impatient.get()).layer == "db"
        assert 0.3 <= time.monotonic() - began < 20
        assert [event.outcome for event in impatient.seen(TurnTaken)] == ["timeout"]
        await impatient.stored()
        await impatient.coherence.redis.unlink(impatient.coherence.names.entry(QUERY.key))
        await impatient.coherence.redis.set(name, dead, px=300)
        assert (await fleet[0].get()).layer == "db"
        assert [event.outcome for event in fleet[0].seen(TurnTaken)] == ["won"]


async def test_a_load_that_fails_lets_the_next_process_load_at_once(fleet: list[Replica]) -> None:
    """Whoever waited for it takes its turn, long before the wait's end."""

    async def fail() -> bytes:
        await begun.wait()
        raise ConnectionError("the database went away")

    begun = asyncio.Event()
    failing = asyncio.create_task(fleet[0].coherence.get_or_load(QUERY, fail, ttl=60.0))
    names, redis = fleet[0].coherence.names, fleet[0].coherence.redis
    await eventually(lambda: redis.exists(names.turn(QUERY.key)), within=20)
    waiting = asyncio.create_task(fleet[1].get())
    await eventually(lambda: [each for each in fleet[1].seen(Operated) if each.operation == "turn"], within=20)
    begun.set()
    with pytest.raises(ConnectionError):
        await failing
    async with asyncio.timeout(PATIENCE - 5):
        assert (await waiting).layer == "db"


async def test_a_load_from_before_a_change_is_waited_for_by_nobody(fleet: list[Replica], listener: Vouching) -> None:
    """A request that begins after a change takes the turn over; what the old load brings is served to nobody later."""
    database = fleet[0].database
    database.hold()
    early = asyncio.create_task(fleet[0].get())
    await eventually(lambda: len(database.held) == 1, within=20)
    generation = await listener.commit(b"new")
    for replica in fleet:
        await replica.at(generation)
    late = asyncio.create_task(fleet[1].get())
    await eventually(lambda: len(database.held) == 2, within=20)
    waiting = asyncio.create_task(fleet[2].get())
    await eventually(lambda: [each for each in fleet[2].seen(Operated) if each.operation == "turn"], within=20)
    database.release()
    assert (await early).body == b"old"
    assert [(await task).body for task in (late, waiting)] == [b"new", b"new"]
    assert database.loads == 2
    for replica in fleet:
        assert (await replica.get()).body == b"new"


async def test_without_a_right_to_the_turn_each_process_loads(deployment: Deployment, listener: Vouching) -> None:
    """A turn that Redis refuses, or a key of another kind in its place, costs a load and no answer."""
    async with deployment.replica(fleet_patience=PATIENCE) as replica:
        await replica.caching()
        await listener.redis.lpush(replica.coherence.names.turn(QUERY.key), b"no turn")
        assert (await replica.get()).body == b"old"
        assert [event.error is not None for event in replica.seen(Operated) if event.operation == "turn"] == [True]
        assert (await replica.get()).layer == "l1"


async def test_a_hot_answer_near_its_end_is_loaded_by_one_process_and_taken_by_the_others(
    fleet: list[Replica],
) -> None:
    """Each process refreshes in the background what is read; the first loads, the next find it in Redis."""
    await ask_all(fleet, 1)
    for replica, outcome in zip(fleet, ("loaded", "taken", "taken"), strict=True):
        await replica.get()
        kept = replica.coherence.l1.get(QUERY.key)
        assert kept is not None
        kept.refresh_at = 0.0
        assert (await replica.get()).layer == "l1"
        await eventually(partial(replica.seen, Refreshed), within=20)
        assert [event.outcome for event in replica.seen(Refreshed)] == [outcome]
        fresh = replica.coherence.l1.get(QUERY.key)
        assert fresh is not None
        assert fresh.entry.stored_at > kept.entry.stored_at
        await replica.stored_since(fresh.entry.stamp)
        await replica.coherence._l2.close()
    assert fleet[0].database.loads == 2
