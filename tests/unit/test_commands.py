"""When Redis commands travel, without Redis: which go together, and that none is left behind."""

import asyncio
from typing import Any

from redis.asyncio import Redis

from coherence.commands import AT_ONCE, Commands, Word


class Held(Commands):
    """Each command is its own reply, when its round trip is let go."""

    def __init__(self) -> None:
        super().__init__(Redis(), 60.0)
        self.trips: list[asyncio.Event] = []
        self.sent: list[int] = []

    async def _together(self, commands: list[tuple[Word, ...]]) -> list[Any]:
        self.trips.append(asyncio.Event())
        self.sent.append(len(commands))
        await self.trips[-1].wait()
        return list(commands)


async def settle() -> None:
    """Let every task run on to where it waits."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_command_that_comes_as_all_trips_end_is_sent() -> None:
    """Whoever has a reply asks on in the same moment in which the other round trips end, too."""
    commands = Held()

    async def ask_twice() -> None:
        await commands.run("first")
        await commands.run("second")

    asking = [asyncio.create_task(ask_twice())]
    await settle()
    for number in range(AT_ONCE - 1):
        asking.append(asyncio.create_task(commands.run(number)))
        await settle()
    assert commands.sent == [1] * AT_ONCE
    for trip in commands.trips:
        trip.set()
    await settle()
    assert commands.sent == [1] * (AT_ONCE + 1)
    commands.trips[-1].set()
    await asyncio.gather(*asking)


async def test_commands_that_come_while_others_are_under_way_share_a_trip() -> None:
    """There are no more at once than may be, and what waits goes with the next."""
    commands = Held()
    asking = []
    for number in range(50):
        asking.append(asyncio.create_task(commands.run(number)))
        await settle()
    assert commands.sent == [1] * AT_ONCE
    commands.trips[0].set()
    await settle()
    assert commands.sent == [1] * AT_ONCE + [50 - AT_ONCE]
    for trip in commands.trips:
        trip.set()
    assert await asyncio.gather(*asking) == [(number,) for number in range(50)]
