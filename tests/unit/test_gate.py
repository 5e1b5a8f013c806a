"""The bound on how many loads the database gets at once."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from coherence.gate import Gate, Overloaded
from tests.support.clocks import HandClock
from tests.support.waiting import eventually


async def test_as_many_as_there_are_places_are_let_in() -> None:
    """The bound holds under a crowd, and everybody gets in at last."""
    gate = Gate(3, patience=30)
    inside = most = 0
    may_leave = asyncio.Event()

    async def visit() -> None:
        nonlocal inside, most
        async with gate.place():
            inside += 1
            most = max(most, inside)
            await may_leave.wait()
            inside -= 1

    visits = [asyncio.create_task(visit()) for _ in range(20)]
    await eventually(lambda: inside == 3)
    may_leave.set()
    await asyncio.gather(*visits)
    assert most == 3


async def test_who_waits_too_long_is_turned_away() -> None:
    """Past the patience it is Overloaded, with a word on when to come back; the place is not lost by it."""
    gate = Gate(1, patience=0.05)
    async with gate.place():
        with pytest.raises(Overloaded) as turned_away:
            async with gate.place():
                pytest.fail("there was no place")
        assert turned_away.value.retry_after >= 1
    async with gate.place():
        pass


async def test_a_place_comes_free_however_its_holder_leaves() -> None:
    """An error inside, and a cancellation inside or in the queue, cost no place."""
    gate = Gate(1, patience=30)
    with pytest.raises(ZeroDivisionError):
        async with gate.place():
            _ = 1 / 0

    async def stay() -> None:
        async with gate.place():
            await asyncio.Event().wait()

    holder = asyncio.create_task(stay())
    queued = [asyncio.create_task(stay()) for _ in range(3)]
    await asyncio.sleep(0)
    for task in (queued[0], holder, queued[1], queued[2]):
        task.cancel()
    await asyncio.gather(holder, *queued, return_exceptions=True)
    async with gate.place():
        pass


async def test_time_running_out_in_the_moment_a_place_comes_free_costs_none() -> None:
    """Whoever wins, all places are there afterwards."""
    gate = Gate(2, patience=0.001)

    async def visit(number: int) -> None:
        try:
            async with gate.place():
                await asyncio.sleep(0.001 * (number % 3))
        except Overloaded:
            return

    await asyncio.gather(*(visit(number) for number in range(200)))
    async with AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(gate.place())


async def test_the_holders_own_timeout_is_its_own() -> None:
    """A TimeoutError raised inside is not taken for a full gate."""
    gate = Gate(1, patience=30)
    with pytest.raises(TimeoutError):
        async with gate.place():
            raise TimeoutError


@asynccontextmanager
async def full(gate: Gate) -> AsyncIterator[None]:
    """Have its two places held, and seven wait for them."""
    may_leave = asyncio.Event()

    async def stay() -> None:
        async with gate.place():
            await may_leave.wait()

    visits = [asyncio.create_task(stay()) for _ in range(9)]
    await eventually(lambda: gate._waiting == 7)
    yield
    may_leave.set()
    await asyncio.gather(*visits)


async def test_who_would_wait_in_vain_is_turned_away_at_once() -> None:
    """By how long places were held lately, and how many wait; what was measured long ago does not count."""
    clock = HandClock()
    gate = Gate(2, patience=30, clock=clock)

    async def hold(seconds: float) -> None:
        async with gate.place():
            clock.advance(seconds)

    for _ in range(100):
        await hold(10)
    async with full(gate):
        # Seven wait, and six could be served.
        with pytest.raises(Overloaded):
            async with gate.place():
                pytest.fail("there was no place")
    for _ in range(100):
        await hold(10)
    clock.advance(31)
    async with full(gate):
        assert not gate.hopeless


async def test_who_would_wait_behind_places_that_nobody_leaves_is_turned_away_at_once() -> None:
    """Before any was left, and measured: while some wait, a place takes at least as long as none has been taken."""
    clock = HandClock()
    gate = Gate(2, patience=30, clock=clock)
    async with full(gate):
        clock.advance(8)
        assert not gate.hopeless
        clock.advance(1)
        with pytest.raises(Overloaded):
            async with gate.place():
                pytest.fail("there was no place")


async def test_nobody_is_turned_away_at_once_from_places_that_are_held_shortly() -> None:
    """A crowd that can be served in time waits."""
    clock = HandClock()
    gate = Gate(2, patience=30, clock=clock)
    served = 0

    async def visit() -> None:
        nonlocal served
        async with gate.place():
            clock.advance(0.01)
            await asyncio.sleep(0)
            served += 1

    await asyncio.gather(*(visit() for _ in range(1000)))
    assert served == 1000


async def test_while_the_process_stands_still_nobody_waits_in_vain() -> None:
    """SIGSTOP, or a busy machine: who waited is served, and so is who comes; it does not count as a place's time."""
    gate = Gate(2, patience=2)
    may_leave = asyncio.Event()
    served = 0

    async def visit() -> None:
        nonlocal served
        async with gate.place():
            await may_leave.wait()
            served += 1

    visits = [asyncio.create_task(visit()) for _ in range(9)]
    await eventually(lambda: gate._waiting == 7)
    time.sleep(2.6)  # noqa: ASYNC251 - that the event loop stands still is the point
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not gate.hopeless
    may_leave.set()
    await asyncio.gather(*visits, visit())
    assert served == 10
    assert gate._usual < 0.1
