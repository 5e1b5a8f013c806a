"""One load for many who want the same. After golang/groupcache's singleflight, with a rule for who may share."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from coherence.query import Query
from coherence.tasks import end

T = TypeVar("T")


@dataclass(slots=True)
class Flight(Generic[T]):
    """A load under way: the generation before it began, and whether it has begun to read."""

    stamp: int
    begun: bool = False
    task: asyncio.Task[T] = field(init=False)


class SingleFlight(Generic[T]):
    """Flights by query. A flight goes on when those who wait for it are cancelled, the first one too."""

    def __init__(self) -> None:
        self._flights: dict[Query, Flight[T]] = {}
        self._tasks: set[asyncio.Task[T]] = set()

    async def run(
        self,
        query: Query,
        stamp: int,
        may_join: Callable[[Flight[T]], bool],
        load: Callable[[Flight[T]], Awaitable[T]],
    ) -> tuple[T, bool]:
        """Return what the flight for `query` brings, and whether it was under way already.

        A flight that `may_join` turns down is left to those who have joined it, and a new one begins, stamped `stamp`,
        which later callers find. Raises what the flight raises.
        """
        flight = self._flights.get(query)
        if flight is not None and may_join(flight):
            return await asyncio.shield(flight.task), True
        flight = self._begin(query, Flight(stamp), load)
        return await asyncio.shield(flight.task), False

    def under_way(self, query: Query) -> bool:
        """Tell whether there is a flight for `query`."""
        return query in self._flights

    def _begin(self, query: Query, flight: Flight[T], load: Callable[[Flight[T]], Awaitable[T]]) -> Flight[T]:
        async def fly() -> T:
            try:
                return await load(flight)
            finally:
                if self._flights.get(query) is flight:
                    del self._flights[query]

        flight.task = asyncio.create_task(fly(), name=f"load {query.key}")
        self._flights[query] = flight
        self._tasks.add(flight.task)
        flight.task.add_done_callback(self._landed)
        return flight

    def _landed(self, task: asyncio.Task[T]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            # Where everybody who waited was cancelled, nobody else takes the exception note of which asyncio keeps.
            task.exception()

    async def close(self) -> None:
        """Cancel what is under way."""
        await end(*self._tasks)
