"""A bound on how many loads the database gets at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Unavailable(Exception):  # noqa: N818 - a state of the world, not a fault of the program
    """The database cannot answer now. Loads raise it, or what is derived from it, where an older answer would do."""


class Overloaded(Unavailable):
    """No place came free in time. `retry_after` is in whole seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("too many loads are under way")
        self.retry_after = retry_after


class Gate:
    """Lets `places` in at once, each after a wait of at most `patience` seconds."""

    def __init__(self, places: int, patience: float) -> None:
        self.places = places
        self._free = asyncio.Semaphore(places)
        self._patience = patience

    @property
    def busy(self) -> bool:
        """Whether who came now would have to wait."""
        return self._free.locked()

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Hold a place. Raises Overloaded when none came free in time."""
        try:
            async with asyncio.timeout(self._patience):
                await self._free.acquire()
        except TimeoutError:
            raise Overloaded(retry_after=1) from None
        try:
            yield
        finally:
            self._free.release()
