"""A bound on how many loads the database gets at once."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from coherence.clock import Clock, monotonic

WEIGHT = 0.1
"""Of the latest place's time in the moving average."""


class Unavailable(Exception):  # noqa: N818 - a state of the world, not a fault of the program
    """The database cannot answer now. Loads raise it, or what is derived from it, where an older answer would do."""


class Overloaded(Unavailable):
    """No place came free in time. `retry_after` is in whole seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("too many loads are under way")
        self.retry_after = retry_after


class Gate:
    """Lets `places` in at once, each after a wait of at most `patience` seconds.

    Who would most likely wait in vain is told so at once: by how many wait, and how long a place was held lately. So
    the queue is never longer than what can be served in time, however much is asked for.
    """

    def __init__(self, places: int, patience: float, clock: Clock = monotonic) -> None:
        self.places = places
        self._free = asyncio.Semaphore(places)
        self._patience = patience
        self._clock = clock
        self._waiting = 0
        self._usual = 0.0
        """How many seconds a place is held, on a moving average."""
        self._measured = -math.inf
        self._latest = clock()
        """When a place was last taken."""

    @property
    def busy(self) -> bool:
        """Whether who came now would have to wait."""
        return self._free.locked()

    @property
    def hopeless(self) -> bool:
        """Whether who came now would most likely wait in vain.

        What was measured long ago says nothing; but while some wait, every place has been held since the latest was
        taken: so long does it take at least.
        """
        if not self._waiting:
            return False
        now = self._clock()
        lately = self._usual if now - self._measured < self._patience else 0.0
        return self._waiting * max(lately, now - self._latest) > self.places * self._patience

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Hold a place. Raises Overloaded when none came free in time, or none will."""
        if self.hopeless:
            raise Overloaded(retry_after=1)
        self._waiting += 1
        try:
            async with asyncio.timeout(self._patience):
                await self._free.acquire()
        except TimeoutError:
            raise Overloaded(retry_after=1) from None
        finally:
            self._waiting -= 1
        began = self._latest = self._clock()
        try:
            yield
        finally:
            self._measured = self._clock()
            self._usual += (self._measured - began - self._usual) * WEIGHT
            self._free.release()
