"""Warming: at the start, the answers to common queries are loaded into the cache."""

import asyncio
from collections.abc import Sequence

import structlog

from coherence.coherence import Coherence
from coherence.gate import Overloaded
from coherence.query import Query
from service.problems import Problem
from service.routes.cached import Cached

AT_ONCE = 2
RETRY_SECONDS = 0.1


class Warming:
    """Loads `queries` through `cached`, trying again until that works, for `timeout` seconds at most.

    Nothing can be kept while there is no lease; so it waits for one. `state` is "under way", "done" or "timed out".
    """

    def __init__(self, queries: Sequence[Query], *, cached: Cached, coherence: Coherence, timeout: float) -> None:
        self._queries = queries
        self._cached = cached
        self._coherence = coherence
        self._timeout = timeout
        self._log: structlog.stdlib.BoundLogger = structlog.get_logger("service")
        self._lease_hoped_for = True
        self.state = "under way" if queries else "done"

    async def run(self) -> None:
        """Warm, and return when that is done or has timed out."""
        if not self._queries:
            return
        loop = asyncio.get_running_loop()
        started = loop.time()
        hope = loop.call_later(self._coherence.timing.bound, self._give_up_hope)
        places = asyncio.Semaphore(AT_ONCE)
        try:
            async with asyncio.timeout(self._timeout), asyncio.TaskGroup() as group:
                for query in self._queries:
                    group.create_task(self._warm(query, places), name=f"warm {query.key}")
        except TimeoutError:
            self.state = "timed out"
            self._log.warning("warming timed out", seconds=self._timeout)
        else:
            self.state = "done"
            self._log.info("cache warmed", queries=len(self._queries), seconds=round(loop.time() - started, 3))
        finally:
            hope.cancel()

    @property
    def settled(self) -> bool:
        """Whether there is nothing more to wait for before requests are taken: it is over, or no lease is in sight."""
        return self.state != "under way" or not (self._lease_hoped_for or self._coherence.lease_left > 0)

    async def _warm(self, query: Query, places: asyncio.Semaphore) -> None:
        while not await self._is_kept(query, places):  # noqa: ASYNC110 - it depends on servers, which set no event
            await asyncio.sleep(RETRY_SECONDS)

    async def _is_kept(self, query: Query, places: asyncio.Semaphore) -> bool:
        if self._coherence.lease_left <= 0:
            return False
        try:
            async with places:
                answer = await self._cached.answer(query)
        except (Problem, Overloaded):
            # Postgres is not there yet, or busy with requests.
            return False
        return answer.forward != "bypass"

    def _give_up_hope(self) -> None:
        self._lease_hoped_for = False
