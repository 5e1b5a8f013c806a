"""What passes between a load's SELECT and its storing, in two processes over a real Redis."""

import asyncio

import pytest

from coherence.answer import Answer
from coherence.entry import Entry, etag_of
from coherence.events import Loaded
from coherence.query import Query
from tests.support.coherences import OTHER, QUERY, Deployment, Replica, Vouching
from tests.support.proxy import Proxy
from tests.support.waiting import eventually


async def held_load(replica: Replica, query: Query = QUERY, *, bypass: str | None = None) -> asyncio.Task[Answer]:
    """Begin a request whose load has read its row and is held up on the way back."""
    held = len(replica.database.held)
    replica.database.hold()
    task: asyncio.Task[Answer] = asyncio.create_task(replica.get(query, bypass=bypass))
    await eventually(lambda: len(replica.database.held) > held)
    return task


async def fresh_everywhere(replicas: list[Replica], row: bytes, query: Query = QUERY) -> None:
    """Fail where anybody is answered with another row, by whichever cache."""
    for replica in replicas * 2:
        answer = await replica.get(query)
        assert answer.body == row, answer


@pytest.mark.parametrize("announced_by", ["the listener", "a process"])
async def test_a_load_that_a_change_overtakes_is_served_to_nobody_later(
    listener: Vouching, replicas: list[Replica], announced_by: str
) -> None:
    """Held up between its SELECT and the storing, past a commit and its bump, it leaves no old answer anywhere."""
    for turn in range(10):
        row, query = f"row {turn}".encode(), Query("anomalies", {"turn": turn})
        late = await held_load(replicas[turn % 2], query)
        if announced_by == "the listener":
            generation = await listener.commit(row)
        else:
            generation = (await replicas[1 - turn % 2].put(row)).generation or 0
        for replica in replicas:
            await replica.at(generation)
        replicas[0].database.release()
        await late
        await fresh_everywhere(replicas, row, query)
        await replicas[0].stored_since(generation, query)
        await fresh_everywhere(replicas, row, query)


async def test_a_load_that_a_lost_message_overtakes_is_served_to_nobody_later(
    listener: Vouching, replicas: list[Replica]
) -> None:
    """The message of the change never comes, and the load ends before a poll has shown the change."""
    late = await held_load(replicas[0])
    generation = await silent_bump(listener)
    replicas[0].database.row = b"new"
    replicas[0].database.release()
    await late
    for replica in replicas:
        await replica.at(generation)
    await fresh_everywhere(replicas, b"new")


async def silent_bump(listener: Vouching) -> int:
    """Make a generation of which no message is published, as if it had been lost on the way to everybody."""
    generation = listener.floor + 1_000_000
    await listener.redis.set(listener.names.generation, generation, keepttl=True)
    listener.floor = generation
    return generation


async def test_a_late_write_to_redis_is_served_to_nobody(listener: Vouching, replicas: list[Replica]) -> None:
    """An entry from before the change that is written over the newer one is no answer; the next load replaces it."""
    stamp = replicas[0].coherence.view.generation
    generation = await listener.commit(b"new")
    for replica in replicas:
        await replica.at(generation)
    await replicas[0].get()
    await replicas[0].stored_since(generation)
    names, redis = replicas[0].coherence.names, replicas[0].coherence.redis
    old = Entry(QUERY, stamp, await listener.key.time_us() / 1e6, 60.0, etag_of(b"old"), b"old")
    await redis.set(names.entry(QUERY.key), old.as_wire())
    answer = await replicas[1].get()
    assert (answer.body, answer.layer, answer.forward) == (b"new", "db", "stale")
    await replicas[1].stored_since(generation)
    await fresh_everywhere(replicas, b"new")


async def test_an_entry_that_comes_when_the_view_is_gone_is_not_served(
    deployment: Deployment, listener: Vouching, replicas: list[Replica]
) -> None:
    """Redis takes its time; what was to be relied on when it was asked is asked again when it answers."""
    await replicas[0].get()
    await replicas[0].stored()
    async with Proxy(deployment.redis_url) as proxy, deployment.replica(proxy.url) as replica:
        await replica.caching()
        proxy.stall()
        request = asyncio.create_task(replica.get())
        await asyncio.sleep(0)
        replica.coherence.view.distrust()
        replica.database.row = b"new"
        proxy.resume()
        answer = await request
        assert (answer.body, answer.layer, answer.stored) == (b"new", "db", False)
    del listener


@pytest.mark.parametrize("publisher", [0, 1])
async def test_a_request_after_a_put_joins_no_load_from_before(replicas: list[Replica], publisher: int) -> None:
    """Through the process that made the change and through the other: once publish returned, the old load is alone."""
    early = await held_load(replicas[0])
    await replicas[publisher].put(b"new")
    late = await held_load(replicas[0])
    later = asyncio.create_task(replicas[0].get())
    replicas[0].database.release()
    assert [(await task).body for task in (early, late, later)] == [b"old", b"new", b"new"]


async def test_bypassing_requests_join_no_load_that_has_begun(replicas: list[Replica]) -> None:
    """Who must read fresh begins a load of its own, whatever is under way."""
    replica = replicas[0]
    early = [await held_load(replica, bypass=bypass) for bypass in (None, "admin")]
    replica.database.row = b"new"
    late = await held_load(replica, bypass="admin")
    replica.database.release()
    assert [(await task).body for task in (*early, late)] == [b"old", b"old", b"new"]


async def test_a_cancelled_leader_fails_nobody(replicas: list[Replica]) -> None:
    """The first to ask hangs up while the load is under way; the others get its answer, and it is kept."""
    leader = await held_load(replicas[0])
    followers = [asyncio.create_task(replicas[0].get()) for _ in range(5)]
    await asyncio.sleep(0)
    leader.cancel()
    await asyncio.gather(leader, return_exceptions=True)
    replicas[0].database.release()
    assert {answer.body for answer in await asyncio.gather(*followers)} == {b"old"}
    assert leader.cancelled()
    assert replicas[0].database.loads == 1
    assert (await replicas[0].get()).layer == "l1"


async def test_a_hundred_requests_for_a_cold_key_make_one_load_in_each_process(replicas: list[Replica]) -> None:
    """They share what Redis or the database brings."""
    for query in (QUERY, OTHER):
        for replica in replicas:
            answers = await asyncio.gather(*(replica.get(query) for _ in range(100)))
            assert {answer.body for answer in answers} == {b"old"}
    assert all(len(replica.seen(Loaded)) <= 2 for replica in replicas)
    assert replicas[0].database.loads <= 4


async def test_readers_and_writers_at_once_never_go_back(listener: Vouching, replicas: list[Replica]) -> None:
    """Under a storm of commits and reads, what a reader sees once a change has arrived is never older than it."""
    done = False

    async def write() -> None:
        nonlocal done
        for number in range(1, 151):
            generation = await listener.commit(b"%06d" % number)
            for replica in replicas:
                await replica.at(generation)
            arrived[0] = number
        done = True

    async def read(replica: Replica) -> None:
        while not done:
            least = arrived[0]
            answer = await replica.get()
            assert int(answer.body) >= least, answer
            await asyncio.sleep(0)

    arrived = [0]
    replicas[0].database.row = b"000000"
    await asyncio.gather(write(), *(read(replica) for replica in replicas * 4))
    await fresh_everywhere(replicas, b"000150")
