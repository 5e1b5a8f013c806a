"""Waiting for the other processes to say that they have applied a generation."""

import asyncio

from coherence.acknowledgements import MOST_PROCESSES, Acknowledgements

LONG = 30.0


async def test_nobody_to_wait_for() -> None:
    """With nobody expected there is no wait."""
    assert await Acknowledgements().wait(10, expected=0, timeout=LONG) == 0


async def test_the_wait_ends_with_the_last_word() -> None:
    """It ends when as many processes as are expected have the generation, or a newer one."""
    heard = Acknowledgements()
    waiting = asyncio.create_task(heard.wait(10, expected=3, timeout=LONG))
    await heard.hear("a", 10)
    await heard.hear("b", 12)
    await heard.hear("c", 9)
    await asyncio.sleep(0)
    assert not waiting.done()
    await heard.hear("c", 10)
    assert await waiting == 3


async def test_a_process_counts_once() -> None:
    """Saying it twice makes no second process; its latest word is what counts."""
    heard = Acknowledgements()
    await heard.hear("a", 10)
    await heard.hear("a", 11)
    assert heard.count(10) == 1
    assert await heard.wait(10, expected=2, timeout=0.01) == 1


async def test_words_that_came_before_the_wait_count() -> None:
    """An acknowledgement may overtake the answer to the bump that asked for it."""
    heard = Acknowledgements()
    await heard.hear("a", 10)
    assert await heard.wait(10, expected=1, timeout=LONG) == 1


async def test_the_wait_gives_up() -> None:
    """Past its time it returns how many have said so."""
    heard = Acknowledgements()
    await heard.hear("a", 10)
    assert await heard.wait(10, expected=5, timeout=0.01) == 1
    assert await heard.wait(10, expected=5, timeout=0) == 1


async def test_several_waits_at_once() -> None:
    """Each waits for its own generation."""
    heard = Acknowledgements()
    waits = [asyncio.create_task(heard.wait(generation, 2, LONG)) for generation in (10, 11, 12)]
    for process in ("a", "b"):
        for generation in (10, 11, 12):
            await heard.hear(process, generation)
    assert await asyncio.gather(*waits) == [2, 2, 2]


async def test_a_wait_that_is_cancelled_leaves_the_others_waiting() -> None:
    """A client that hangs up does not end the wait of another."""
    heard = Acknowledgements()
    gone, stays = (asyncio.create_task(heard.wait(10, 1, LONG)) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()
    await heard.hear("a", 10)
    assert await stays == 1
    assert (await asyncio.gather(gone, return_exceptions=True))[0].__class__ is asyncio.CancelledError


async def test_processes_that_come_and_go_do_not_pile_up() -> None:
    """The one that was not heard of for longest is forgotten first."""
    heard = Acknowledgements()
    for number in range(MOST_PROCESSES):
        await heard.hear(f"process-{number}", 10)
    await heard.hear("process-0", 10)
    for number in range(5):
        await heard.hear(f"new-{number}", 11)
    assert heard.count(10) == MOST_PROCESSES
    assert heard.count(11) == 5
    await heard.hear("process-0", 9)
    assert heard.count(10) == MOST_PROCESSES - 1
