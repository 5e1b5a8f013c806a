"""Caches that are weaker in one point."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from coherence.cache import Cache
from coherence.entry import Entry
from coherence.loading import Loading
from coherence.query import Query
from coherence.singleflight import Flight, SingleFlight
from tests.mutants.mutant import Catalogue, scenario, test

CACHES = Catalogue()

_CACHE = test("unit/test_cache.py")


@CACHES.instead_of(Loading, "load", _CACHE, scenario("test_loads.py::test_loads_that_commits_overtake"))
async def stamps_after_the_load(load: Any, loading: Loading, *asked: Any) -> Entry:
    """The stamp is taken after the load."""
    entry: Entry = await load(loading, *asked)
    return replace(entry, stamp=loading._view.generation)


@CACHES.instead_of(Loading, "_keep", _CACHE)
def keeps_what_was_overtaken(_: Any, loading: Loading, entry: Entry, turn: bytes) -> bool:
    """Keeps a load that a change overtook as if it had been judged."""
    loading._keep_here(entry, loading._clock() + loading.remaining(entry))
    return loading._l2.put(entry, turn)


@CACHES.instead_of(Loading, "look", scenario("test_loads.py::test_answers_of_redis_that_commits_overtake"))
async def takes_redis_word(_: Any, loading: Loading, query: Query, **__: float) -> tuple[Entry | None, bool]:
    """Keeps and serves an entry of Redis without judging it when it comes."""
    found = await loading._l2.get(query)
    if found is not None:
        loading._keep_here(found, loading._clock() + loading.remaining(found))
    return found, found is not None


@CACHES.instead_of(Loading, "_judge", scenario("test_loads.py::test_writes_to_redis_that_commits_overtake"))
def judges_redis_from_now_on(judge: Any, loading: Loading, entry: Entry, since: int) -> bool:
    """Does not compare the stamp of an entry of Redis."""
    fresh: bool = judge(loading, entry, loading._view.generation if since == entry.stamp else since)
    return fresh


@CACHES.instead_of(
    SingleFlight, "run", _CACHE, scenario("test_loads.py::test_a_request_after_a_put_joins_no_load_from_before")
)
async def joins_any_load(
    run: Callable[..., Awaitable[Any]], flights: object, query: Query, stamp: int, _: object, load: object
) -> Any:
    """Single-flight is not keyed by generation: a request joins any load of its query."""

    def always(flight: Flight[Any]) -> bool:
        del flight
        return True

    return await run(flights, query, stamp, always, load)


@CACHES.instead_of(Cache, "get_or_load", _CACHE)
async def ignores_what_a_request_knows(get_or_load: Any, cache: Cache, *asked: Any, **options: Any) -> Any:
    """Serves a request that was shown a newer generation from an older view: Cache-Generation is ignored."""
    return await get_or_load(cache, *asked, **{**options, "at_least": 0})
