"""What every fault has."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import ClassVar


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
