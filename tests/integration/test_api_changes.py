"""PUT of a status, and the invalidation by hand."""

import asyncio
from collections.abc import AsyncIterator

import httpx2
import psycopg
import pytest
from redis.asyncio import Redis

from coherence.keys import cache_key
from service.queries import SET_STATUS, VERSION
from tests.support.api import ANOMALIES, Api, running, status_of
from tests.support.waiting import eventually

PATH = f"{ANOMALIES}/a-0003"
INVALIDATE = "/api/v1/cache/invalidate"


@pytest.fixture
async def replica(api: Api) -> AsyncIterator[httpx2.AsyncClient]:
    """An analyst's client of a second instance, which caches."""
    async with running(api.settings) as other, other.client() as client:

        async def hits() -> bool:
            return status_of(await client.get(ANOMALIES)).startswith("hit")

        await eventually(hits)
        yield client


async def test_a_put_answers_the_updated_row(analyst: httpx2.AsyncClient) -> None:
    """With the generation that knows of it."""
    before = (await analyst.get(PATH)).json()
    response = await analyst.put(PATH, json={"new_status": "INVESTIGATED"})
    assert response.status_code == 200
    assert response.json() == {**before, "status": "INVESTIGATED", "updated_at": response.json()["updated_at"]}
    assert response.json()["updated_at"] > before["updated_at"]
    assert int(response.headers["cache-generation"]) > 0
    assert response.headers["cache-control"] == "no-store"


async def test_a_put_with_if_match_overwrites_nobody(analyst: httpx2.AsyncClient, admin: httpx2.AsyncClient) -> None:
    """It changes what the client has read, in whichever form; 412 where that was changed since."""
    read = (await analyst.get(PATH)).headers["etag"]
    assert (await admin.put(PATH, json={"new_status": "CONFIRMED"})).status_code == 200
    for headers in ({"If-Match": read}, {"If-Match": f'W/{read}, "x"'}, {"If-None-Match": "*"}):
        refused = await analyst.put(PATH, json={"new_status": "DISMISSED"}, headers=headers)
        assert (refused.status_code, refused.json()["type"].rpartition(":")[2]) == (412, "precondition-failed")
    again = await analyst.get(PATH)
    assert again.json()["status"] == "CONFIRMED"
    etag = again.headers["etag"]
    for status, wanted in (("NEW", "*"), ("CONFIRMED", '"x", {etag}'), ("DISMISSED", "{gzip}")):
        etag = (await analyst.get(PATH)).headers["etag"]
        named = wanted.format(etag=etag, gzip=f'{etag[:-1]}-gzip"')
        taken = await analyst.put(PATH, json={"new_status": status}, headers={"If-Match": named})
        assert (taken.status_code, taken.json()["status"]) == (200, status)
    missing = await analyst.put(f"{ANOMALIES}/none", json={"new_status": "NEW"}, headers={"If-Match": "*"})
    assert missing.status_code == 404


async def test_a_change_between_the_look_and_the_put_counts(api: Api) -> None:
    """The row is changed only in the version that was looked at."""
    url = api.settings.database_url.get_secret_value()
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        cursor = await connection.execute(VERSION.encode(), {"transaction_id": "a-0003"})
        _, version = await cursor.fetchone() or (None, None)
        given = {"transaction_id": "a-0003", "status": "CONFIRMED", "version": version}
        assert await (await connection.execute(SET_STATUS.encode(), given)).fetchone() is not None
        assert await (await connection.execute(SET_STATUS.encode(), given)).fetchone() is None


async def test_a_compressed_body_is_refused(analyst: httpx2.AsyncClient) -> None:
    """It would not be read as what it is."""
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    response = await analyst.put(PATH, content=b'{"new_status": "NEW"}', headers=headers)
    assert (response.status_code, response.headers["accept-encoding"]) == (415, "identity")


async def test_the_same_status_again_is_fine_and_changes_nothing(analyst: httpx2.AsyncClient) -> None:
    """PUT is idempotent, to the byte."""
    first, second = [await analyst.put(PATH, json={"new_status": "CONFIRMED"}) for _ in range(2)]
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.content == second.content


async def test_after_a_put_every_replica_shows_the_change(
    analyst: httpx2.AsyncClient, replica: httpx2.AsyncClient
) -> None:
    """At once, on every route that shows the row, without a header and each time."""
    paths = [PATH, ANOMALIES, f"{ANOMALIES}?status=CONFIRMED", f"{ANOMALIES}?limit=7&offset=23"]
    for round_ in range(20):
        for path in paths:
            await asyncio.gather(analyst.get(path), replica.get(path))
        status = "CONFIRMED" if round_ % 2 else "DISMISSED"
        await analyst.put(PATH, json={"new_status": status})
        for path in paths:
            here, there = await asyncio.gather(analyst.get(path), replica.get(path))
            assert here.content == there.content
        assert (await replica.get(PATH)).json()["status"] == status


async def test_a_put_leaves_other_namespaces_alone(analyst: httpx2.AsyncClient) -> None:
    """Transactions have not changed."""
    path = "/api/v1/transactions/acc-1"
    await analyst.get(path)
    await analyst.put(PATH, json={"new_status": "CONFIRMED"})
    assert status_of(await analyst.get(path)) == "hit; detail=l1"


async def test_a_generation_that_is_shown_is_honoured(analyst: httpx2.AsyncClient) -> None:
    """One that this process knows of is served from the cache, one that it cannot know yet is not."""
    generation = (await analyst.put(PATH, json={"new_status": "CONFIRMED"})).headers["cache-generation"]
    await analyst.get(PATH)
    assert status_of(await analyst.get(PATH, headers={"Cache-Generation": generation})) == "hit; detail=l1"
    newer = str(int(generation) + 10**6)
    response = await analyst.get(PATH, headers={"Cache-Generation": newer})
    assert status_of(response) == "fwd=bypass; detail=request"


async def test_a_generation_that_is_none_is_refused(analyst: httpx2.AsyncClient) -> None:
    """Silently ignoring it would break the promise."""
    for value in ("", "x", "-1", "1.5", "0", "9" * 30, "1 2"):
        response = await analyst.get(ANOMALIES, headers={"Cache-Generation": value})
        assert response.status_code == 422
        assert response.json()["field"] == "Cache-Generation"


async def test_a_bad_put_changes_nothing(analyst: httpx2.AsyncClient) -> None:
    """And says what is wrong."""
    before = (await analyst.get(PATH)).content
    json = {"content-type": "application/json"}
    for body, headers, status in (
        (b'{"new_status": "CONFIRMED"}', {"content-type": "text/plain"}, 415),
        (b'{"new_status": "CONFIRMED"}', {}, 415),
        (b'{"new_status": ', json, 400),
        (b'{"new_status": "DONE"}', json, 422),
        (b'{"status": "CONFIRMED"}', json, 422),
        (b'{"new_status": "CONFIRMED"' + b" " * 65536 + b"}", json, 413),
    ):
        response = await analyst.put(PATH, content=body, headers=headers)
        assert response.status_code == status
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["status"] == status
        assert (await analyst.get(PATH)).content == before


async def test_a_put_to_nothing_is_a_404(analyst: httpx2.AsyncClient) -> None:
    """It announces nothing either."""
    generation = (await analyst.put(PATH, json={"new_status": "NEW"})).headers["cache-generation"]
    response = await analyst.put(f"{ANOMALIES}/nothing", json={"new_status": "NEW"})
    assert response.status_code == 404
    assert "cache-generation" not in response.headers
    assert (await analyst.get("/api/v1/cache/stats")).json()["view"]["generation"] == int(generation)


async def test_a_put_takes_no_parameters(analyst: httpx2.AsyncClient) -> None:
    """What it would ignore, it refuses."""
    response = await analyst.put(f"{PATH}?force=1", json={"new_status": "NEW"})
    assert (response.status_code, response.json()["field"]) == (422, "force")


async def test_concurrent_puts_all_end_in_one_state(analyst: httpx2.AsyncClient) -> None:
    """Each answers what it wrote, and the reads agree with the last."""
    wanted = ["CONFIRMED", "DISMISSED", "INVESTIGATED", "NEW"] * 5
    responses = await asyncio.gather(*(analyst.put(PATH, json={"new_status": status}) for status in wanted))
    assert [response.json()["status"] for response in responses] == wanted
    newest = max(responses, key=lambda response: str(response.json()["updated_at"]))
    assert (await analyst.get(PATH)).json()["status"] == newest.json()["status"]


async def test_an_admin_may_invalidate_by_hand(
    analyst: httpx2.AsyncClient,
    admin: httpx2.AsyncClient,
    replica: httpx2.AsyncClient,
    redis_url: str,
    cache_prefix: str,
) -> None:
    """Redis and the memory of every replica forget the namespace, and only that."""
    others = "/api/v1/transactions/acc-1"

    async def forgotten() -> bool:
        for client in (analyst, replica):
            await client.get(ANOMALIES)
            await client.get(others)
        response = await admin.post(INVALIDATE, json={"namespace": "anomalies"})
        assert response.status_code == 200
        assert response.json()["namespace"] == "anomalies"
        assert response.json()["generation"] == int(response.headers["cache-generation"])
        async with Redis.from_url(redis_url) as redis:

            async def swept() -> bool:
                return not await redis.keys(f"{cache_prefix}anomalies:*")

            await eventually(swept)
            assert await redis.keys(f"{cache_prefix}transactions:*")
        for client in (replica, analyst):
            assert status_of(await client.get(others)) == "hit; detail=l1"
        assert status_of(await replica.get(ANOMALIES)) == "fwd=stale; stored; detail=db"
        assert status_of(await analyst.get(ANOMALIES)).startswith(("fwd=stale", "hit; detail=l2"))
        return True

    # A machine that is too busy to hear a message in time drops more than it must, which is right, too.
    await eventually(forgotten, within=20.0)


async def test_an_admin_may_purge_one_answer(
    analyst: httpx2.AsyncClient,
    admin: httpx2.AsyncClient,
    replica: httpx2.AsyncClient,
    redis_url: str,
    cache_prefix: str,
) -> None:
    """By its key, in Redis and in the memory of every replica; the others of the namespace stay."""
    other = f"{ANOMALIES}?limit=3"
    key = cache_key("anomalies", limit=100, offset=0)

    async def purged() -> bool:
        for client in (analyst, replica):
            for path in (ANOMALIES, other):
                await client.get(path)
        response = await admin.post(INVALIDATE, json={"namespace": "anomalies", "key": key})
        assert (response.status_code, response.json()["key"]) == (200, key)
        async with Redis.from_url(redis_url) as redis:

            async def gone() -> bool:
                return not await redis.exists(f"{cache_prefix}{key}")

            await eventually(gone)
        for client in (replica, analyst):
            assert status_of(await client.get(other)) == "hit; detail=l1"
        assert status_of(await replica.get(ANOMALIES)) == "fwd=stale; stored; detail=db"
        assert status_of(await analyst.get(ANOMALIES)).startswith(("fwd=stale", "hit; detail=l2"))
        return True

    # A machine that is too busy to hear a message in time drops more than it must, which is right, too.
    await eventually(purged, within=20.0)


async def test_only_namespaces_that_exist_are_invalidated(admin: httpx2.AsyncClient) -> None:
    """A slip of the pen is told."""
    for body, field in (
        ({"namespace": "nonsense"}, "namespace"),
        ({"namespace": ""}, "namespace"),
        ({"namespace": None}, "namespace"),
        ({"namespace": "*"}, "namespace"),
        ({}, "namespace"),
        ({"namespace": "anomalies", "all": True}, "all"),
        ({"namespace": "anomalies", "key": "anomalies:*"}, "key"),
        ({"namespace": "anomalies", "key": f"transactions:{'0' * 32}"}, "key"),
    ):
        response = await admin.post(INVALIDATE, json=body)
        assert (response.status_code, response.json()["field"]) == (422, field)


async def test_analysts_may_not_invalidate(analyst: httpx2.AsyncClient) -> None:
    """It is a load on the database."""
    response = await analyst.post(INVALIDATE, json={"namespace": "anomalies"})
    assert response.status_code == 403
    assert response.headers["content-type"] == "application/problem+json"
