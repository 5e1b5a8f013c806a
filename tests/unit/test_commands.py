"""When Redis commands travel, without Redis: none is left behind."""

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis

from coherence.commands import AT_ONCE, Commands, Word


class Echoing(Commands):
    """Each command is its own reply, one step of the event loop later."""

    def __init__(self) -> None:
        super().__init__(Redis(), 60.0)
        self.trips: list[int] = []

    async def _together(self, commands: list[tuple[Word, ...]]) -> list[Any]:
        self.trips.append(len(commands))
        await asyncio.sleep(0)
        return list(commands)


@pytest.mark.parametrize("callers", [1, AT_ONCE, AT_ONCE + 1, 5 * AT_ONCE])
async def test_a_command_that_comes_as_a_trip_ends_is_sent(callers: int) -> None:
    """Whoever has a reply asks on in the same moment, and all round trips may end in that."""
    commands = Echoing()

    async def ask_on() -> None:
        for number in range(100):
            assert await commands.run("ECHO", number) == ("ECHO", number)

    async with asyncio.timeout(20):
        await asyncio.gather(*(ask_on() for _ in range(callers)))


async def test_commands_that_come_at_once_share_a_trip() -> None:
    """A hundred of them take as many trips as may be under way, or one more."""
    commands = Echoing()
    await asyncio.gather(*(commands.run("ECHO", number) for number in range(100)))
    assert sum(commands.trips) == 100
    assert len(commands.trips) <= AT_ONCE + 1
