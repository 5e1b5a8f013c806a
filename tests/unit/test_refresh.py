"""Hot answers near the end of their TTL, without Redis: who has them loaded anew, and what that may not cost."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from coherence.events import Missed, Refreshed
from coherence.query import Query
from tests.unit.test_cache import QUERY, TTL, World, settle


@pytest.fixture
async def make_world() -> AsyncIterator[Callable[..., World]]:
    """Make a world whose view is valid at generation 10, and which refreshes in the last tenth of a TTL."""
    worlds: list[World] = []

    def make(*, places: int = 100, refresh_ahead: float = 0.1) -> World:
        world = World(places=places, refresh_ahead=refresh_ahead)
        worlds.append(world)
        world.poll(10)
        return world

    yield make
    for world in worlds:
        await world.cache.close()


async def read_on(world: World, seconds: float) -> None:
    """Read the answer four times a second for so long, and poll as often."""
    for _ in range(round(seconds * 4)):
        world.clock.advance(0.25)
        world.poll(10)
        await world.get()
        await settle()


async def near_the_end(world: World) -> None:
    """Have the answer kept, and let time pass until it is to be loaded anew."""
    await world.get()
    kept = world.l1.get(QUERY.key)
    assert kept is not None
    assert kept.ends - 0.11 * TTL <= kept.refresh_at <= kept.ends - 0.05 * TTL
    world.clock.now = kept.refresh_at
    world.poll(10)


async def test_an_answer_that_is_read_all_the_time_never_ends(make_world: Callable[..., World]) -> None:
    """Over five TTLs it is a miss once, at first; and is loaded about once a TTL."""
    world = make_world()
    await world.get()
    await read_on(world, 5 * TTL)
    assert len(world.seen(Missed)) == 1
    assert {event.outcome for event in world.seen(Refreshed)} == {"loaded"}
    assert 5 <= world.loads <= 7


async def test_an_answer_that_is_not_read_is_left_to_end(make_world: Callable[..., World]) -> None:
    """Without a hit in the last tenth of its TTL nothing is loaded."""
    world = make_world()
    await world.get()
    await read_on(world, 0.89 * TTL)
    world.clock.advance(TTL)
    world.poll(10)
    await settle()
    assert world.loads == 1
    assert not world.seen(Refreshed)


async def test_it_can_be_turned_off(make_world: Callable[..., World]) -> None:
    """Then the answer ends with its TTL, and the next request loads it."""
    world = make_world(refresh_ahead=0.0)
    await world.get()
    await read_on(world, 2.5 * TTL)
    assert len(world.seen(Missed)) >= 2
    assert not world.seen(Refreshed)


async def test_the_request_that_begins_it_does_not_wait_for_it(make_world: Callable[..., World]) -> None:
    """It is answered from memory while the load is under way, and further hits begin no second one."""
    world = make_world()
    await near_the_end(world)
    for _ in range(3):
        world.poll(10)
        answer = await world.cache.get_or_load(QUERY, world.slow_load, ttl=TTL)
        assert answer.layer == "l1"
        await settle()
        world.clock.advance(0.25)
    assert world.loads == 2
    world.selects[0].set()


async def test_a_change_during_it_leaves_nothing_old(make_world: Callable[..., World]) -> None:
    """What was read before the change is not kept; a request after it loads for itself."""
    world = make_world()
    await near_the_end(world)
    await world.cache.get_or_load(QUERY, world.slow_load, ttl=TTL)
    await settle()
    world.change()
    assert (await world.get()).body == b"new"
    world.selects[0].set()
    await settle()
    assert (await world.get()).body == b"new"
    assert [event.outcome for event in world.seen(Refreshed)] == ["left"]


async def test_it_takes_no_place_from_a_request(make_world: Callable[..., World]) -> None:
    """While every place to load in is taken, none begins."""
    world = make_world(places=1)
    await near_the_end(world)
    loading = await world.begin(Query("anomalies", {"limit": 2}))
    assert (await world.get()).layer == "l1"
    await settle()
    assert [event.outcome for event in world.seen(Refreshed)] == ["busy"]
    world.selects[0].set()
    await loading


async def test_one_that_fails_is_tried_again(make_world: Callable[..., World]) -> None:
    """The error reaches nobody, and a later hit begins another before the answer ends."""
    world = make_world()

    async def fail() -> bytes:
        await asyncio.sleep(0)
        raise ConnectionError("the database went away")

    await near_the_end(world)
    assert (await world.cache.get_or_load(QUERY, fail, ttl=TTL)).layer == "l1"
    await settle()
    await read_on(world, 0.12 * TTL)
    assert [event.outcome for event in world.seen(Refreshed)] == ["error", "loaded"]
    assert len(world.seen(Missed)) == 1
