"""A bound on how many loads the database gets at once."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from coherence.clock import Clock, monotonic

WEIGHT = 0.1
"""Of the latest place's time in the moving average."""

BEAT_SECONDS = 0.25
"""How often it looks, while it is in use, whether the process itself stood still: by how much too late it is."""


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
        self._stood = 0.0
        """For how many seconds the process has stood still in all: they tell nothing of who holds a place."""
        self._inside = 0
        self._beat: asyncio.TimerHandle | None = None

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
        now = self._now()
        lately = self._usual if now - self._measured < self._patience else 0.0
        return self._waiting * max(lately, now - self._latest) > self.places * self._patience

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Hold a place. Raises Overloaded when none came free in time, or none will."""
        if self.hopeless:
            raise Overloaded(retry_after=1)
        self._watch()
        self._waiting += 1
        try:
            await self._take()
        finally:
            self._waiting -= 1
        began = self._latest = self._now()
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1
            self._measured = self._now()
            self._usual += (self._measured - began - self._usual) * WEIGHT
            self._free.release()

    async def _take(self) -> None:
        # Who stood still himself has not seen the places that came free meanwhile: he looks for them a moment longer.
        for patience, last in ((self._patience, False), (BEAT_SECONDS, True)):
            try:
                async with asyncio.timeout(patience) as limit:
                    await self._free.acquire()
                    return
            except TimeoutError:
                late = asyncio.get_running_loop().time() - (limit.when() or 0.0)
                if last or late < BEAT_SECONDS:
                    raise Overloaded(retry_after=1) from None

    def _now(self) -> float:
        return self._clock() - self._stood

    def _watch(self) -> None:
        if self._beat is None:
            loop = asyncio.get_running_loop()
            self._beat = loop.call_later(BEAT_SECONDS, self._look, loop.time() + BEAT_SECONDS)

    def _look(self, due: float) -> None:
        late = asyncio.get_running_loop().time() - due
        if late > BEAT_SECONDS:
            self._stood += late
        self._beat = None
        if self._waiting or self._inside:
            self._watch()
