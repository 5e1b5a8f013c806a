"""Who has said that it has applied which generation; and waiting until enough have. Sans-IO but for the waiting."""

import asyncio
from dataclasses import dataclass, field

MOST_PROCESSES = 4096


@dataclass(slots=True)
class Acknowledgements:
    """The newest generation that each process has acknowledged, as far as we have heard."""

    _newest: dict[str, int] = field(default_factory=dict)
    _heard: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def hear(self, process: str, generation: int) -> None:
        """Take note of an acknowledgement."""
        async with self._heard:
            self._newest.pop(process, None)
            self._newest[process] = generation
            if len(self._newest) > MOST_PROCESSES:
                self._newest.pop(next(iter(self._newest)))
            self._heard.notify_all()

    def count(self, generation: int) -> int:
        """Return how many processes have acknowledged `generation` or a newer one."""
        return sum(newest >= generation for newest in self._newest.values())

    async def wait(self, generation: int, expected: int, timeout: float) -> int:
        """Wait, `timeout` seconds at most, until `expected` have acknowledged `generation`; return how many have."""
        try:
            async with asyncio.timeout(timeout), self._heard:
                await self._heard.wait_for(lambda: self.count(generation) >= expected)
        except TimeoutError:
            pass
        return self.count(generation)
