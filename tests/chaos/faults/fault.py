"""What every fault has."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import ClassVar, NoReturn

from coherence.tasks import end


class Fault(ABC):
    """Something that breaks and can be mended. `start` and `heal` take turns, as often as one likes."""

    name: ClassVar[str]
    """In a few words."""

    @abstractmethod
    async def start(self) -> None:
        """Break it."""

    @abstractmethod
    async def heal(self) -> None:
        """Mend it."""

    @asynccontextmanager
    async def broken(self) -> AsyncIterator[None]:
        """Have it broken for the block, and mended whatever becomes of that."""
        await self.start()
        try:
            yield
        finally:
            await self.heal()


class Repeated(Fault):
    """A fault that strikes again and again, `every` so many seconds."""

    every: float
    _striking: asyncio.Task[NoReturn] | None = None

    async def start(self) -> None:
        """Strike, and go on striking."""
        await self.strike()
        self._striking = asyncio.create_task(self._strike_again(), name=self.name)

    async def heal(self) -> None:
        """Strike no more. Raises what a strike has raised."""
        assert self._striking is not None
        await end(self._striking)
        if not self._striking.cancelled():
            self._striking.result()

    @abstractmethod
    async def strike(self) -> None:
        """Break it for a moment."""

    async def _strike_again(self) -> NoReturn:
        while True:
            await asyncio.sleep(self.every)
            await self.strike()
