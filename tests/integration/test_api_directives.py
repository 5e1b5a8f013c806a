"""What a request's Cache-Control does."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from coherence.entry import Entry
from coherence.query import Query
from tests.support.api import ANOMALIES, Api, caching, metric, running, settings_for, status_of
from tests.support.waiting import eventually

LOADS = 'cache_loads_total{cache_key_type="anomalies",outcome="ok"}'
PAGE = f"{ANOMALIES}?limit=7"
QUERY = Query("anomalies", {"limit": 7, "offset": 0})


async def ask(client: httpx2.AsyncClient, directive: str, path: str = PAGE) -> httpx2.Response:
    """Ask with a Cache-Control."""
    return await client.get(path, headers={"Cache-Control": directive})


async def loads(client: httpx2.AsyncClient) -> float:
    """Return how many loads there were."""
    return metric((await client.get("/metrics")).text, LOADS)


async def age(api: Api, seconds: float) -> None:
    """Make the answer so much older, in L1 and in Redis."""
    coherence = _coherence(api)
    name = coherence.names.entry(QUERY.key)
    kept = coherence.l1.get(QUERY.key)

    async def written() -> Entry:
        wire = await coherence.redis.get(name)
        assert isinstance(wire, bytes)
        found = Entry.from_wire(QUERY, wire)
        assert abs(found.stored_at - kept.entry.stored_at) < 0.01
        return found

    entry = await eventually(written)
    await coherence.redis.set(name, replace(entry, stored_at=entry.stored_at - seconds).as_wire())
    kept.ends -= seconds


def _coherence(api: Api) -> Any:
    (route,) = [route for route in api.app.routes if getattr(route, "path", "") == ANOMALIES]
    return route.app._handlers["GET"]._coherence  # type: ignore[attr-defined] # a look inside


async def test_a_young_answer_satisfies_an_analyst(api: Api, analyst: httpx2.AsyncClient) -> None:
    """Nobody but an admin can make the database read for every request: no-cache means within the bound."""
    await analyst.get(PAGE)
    before = await loads(analyst)
    for directive in ("no-cache", "max-age=0", "max-age=1", "max-stale=5, No-Cache"):
        response = await ask(analyst, directive)
        assert status_of(response) == "hit; detail=l1"
        assert int(response.headers["age"]) <= api.settings.cache_max_staleness_seconds
    assert await loads(analyst) == before


async def test_an_older_one_is_loaded_anew(api: Api, analyst: httpx2.AsyncClient) -> None:
    """Past the bound for no-cache, past its own number for max-age; then it is young again for all."""
    bound = api.settings.cache_max_staleness_seconds
    for directive, old in (("no-cache", bound + 1), ("max-age=0", bound + 1), ("max-age=10", 11)):
        await analyst.get(PAGE)
        await age(api, old)
        assert status_of(await analyst.get(PAGE)) == "hit; detail=l1"
        assert int((await analyst.get(PAGE)).headers["age"]) >= old - 1
        assert status_of(await ask(analyst, "max-age=59")) == "hit; detail=l1"
        response = await ask(analyst, directive)
        assert status_of(response) == "fwd=request; stored; detail=db"
        assert "age" not in response.headers
        response = await ask(analyst, directive)
        assert (status_of(response), response.headers["age"]) == ("hit; detail=l1", "0")


async def test_an_old_one_in_redis_is_loaded_anew(api: Api, analyst: httpx2.AsyncClient) -> None:
    """Though others at the same moment are content with it."""
    await analyst.get(PAGE)
    await age(api, 30)
    async with running(api.settings) as other, other.client() as asking:

        async def ready() -> bool:
            return bool((await asking.get("/readyz")).json()["status"] == "ready")

        await eventually(ready)
        content, choosy = await asyncio.gather(asking.get(PAGE), ask(asking, "max-age=20"))
        assert status_of(content) == "hit; detail=l2"
        assert int(content.headers["age"]) >= 30
        assert status_of(choosy) == "fwd=request; stored; detail=db"


async def test_no_store_keeps_nothing(analyst: httpx2.AsyncClient) -> None:
    """What there is may be answered; what is loaded is not kept."""
    for _ in range(2):
        assert status_of(await ask(analyst, "no-store")) == "fwd=uri-miss; detail=db"
    await analyst.get(PAGE)
    assert status_of(await ask(analyst, "no-store")) == "hit; detail=l1"


async def test_only_if_cached_loads_nothing(api: Api, analyst: httpx2.AsyncClient, admin: httpx2.AsyncClient) -> None:
    """504 unless L1 or Redis has it, young enough; an admin reads no cache."""
    before = await loads(analyst)
    refused = await ask(analyst, "only-if-cached")
    assert refused.status_code == 504
    assert refused.json()["type"].endswith(":not-cached")
    assert (await ask(admin, "only-if-cached")).status_code == 504
    assert await loads(analyst) == before
    await analyst.get(PAGE)
    assert status_of(await ask(analyst, "only-if-cached")) == "hit; detail=l1"
    await age(api, 11)
    assert (await ask(analyst, "only-if-cached, max-age=5")).status_code == 504
    async with running(api.settings) as other, other.client() as client:

        async def found() -> str | None:
            response = await ask(client, "only-if-cached")
            return status_of(response) if response.status_code == 200 else None

        assert await eventually(found) == "hit; detail=l2"


async def test_only_if_cached_without_a_lease(filled_url: str, redis_url: str, cache_prefix: str) -> None:
    """What cannot be proven fresh is not given."""
    async with running(settings_for(filled_url, redis_url, cache_prefix)) as api, api.client() as client:
        assert (await ask(client, "only-if-cached")).status_code == 504


@pytest.fixture
async def liberal(filled_url: str, redis_url: str, cache_prefix: str) -> AsyncIterator[httpx2.AsyncClient]:
    """An analyst of an API in which everyone may read fresh."""
    settings = settings_for(filled_url, redis_url, cache_prefix, cache_fresh_reads="everyone")
    async with caching(settings) as api, api.client() as client:
        yield client


async def test_where_everyone_may_a_request_has_its_answer_loaded(liberal: httpx2.AsyncClient) -> None:
    """With the usual directives; others change nothing."""
    await liberal.get(PAGE)
    for directive in ("no-cache", "max-age=0", "max-stale=5, No-Cache"):
        assert status_of(await ask(liberal, directive)) == "fwd=bypass; detail=request"
    assert status_of(await ask(liberal, "max-age=60")) == "hit; detail=l1"
