"""Reading through the cache."""

import asyncio
import json
from decimal import Decimal
from urllib.parse import quote

import httpx2
import psycopg
import pytest
from redis.asyncio import Redis

from coherence.keys import cache_key
from service.queries import ANOMALIES_TABLE, TRANSACTIONS_TABLE
from service.tables import Table
from tests.support.api import ANOMALIES, Api, caching, metric, running, settings_for, status_of
from tests.support.waiting import eventually

MISS = "fwd=uri-miss; stored; detail=db"


async def test_a_miss_then_hits(analyst: httpx2.AsyncClient) -> None:
    """The first answer comes from Postgres, the next from memory; their bytes and validators are the same."""
    first, second = [await analyst.get(ANOMALIES, params={"limit": 5}) for _ in range(2)]
    assert status_of(first) == MISS
    assert status_of(second) == "hit; detail=l1"
    assert first.content == second.content
    assert first.headers["etag"] == second.headers["etag"]
    assert first.headers["cache-control"] == second.headers["cache-control"] == "private, no-cache"
    assert first.headers["content-type"] == "application/json"


async def test_another_process_hits_redis(api: Api, analyst: httpx2.AsyncClient) -> None:
    """What one process has stored, another one finds: L2, and then its own L1."""
    await analyst.get(ANOMALIES, params={"limit": 5})
    async with running(api.settings) as other, other.client() as client:

        async def hit() -> str:
            response = await client.get(ANOMALIES, params={"limit": 5})
            assert status_of(response).startswith("hit")
            return status_of(response)

        assert await eventually(hit) == "hit; detail=l2"
        assert await hit() == "hit; detail=l1"


async def test_the_ttl_is_the_settings_with_a_little_jitter(analyst: httpx2.AsyncClient) -> None:
    """At most a tenth more."""
    for path, ttl in ((ANOMALIES, 60), ("/api/v1/transactions/acc-1", 30)):
        await analyst.get(path)
        header = (await analyst.get(path)).headers["cache-status"]
        assert ttl - 1 <= int(header.partition("ttl=")[2].partition(";")[0]) <= ttl * 1.1 + 1


async def test_a_page_holds_what_is_asked_for(analyst: httpx2.AsyncClient) -> None:
    """Newest first, filtered, and with the numbers of the page."""
    page = (await analyst.get(ANOMALIES, params={"limit": 3, "offset": 1})).json()
    assert [row["transaction_id"] for row in page["anomalies"]] == ["a-0028", "a-0027", "a-0026"]
    assert (page["count"], page["limit"], page["offset"]) == (3, 3, 1)
    page = (await analyst.get(ANOMALIES, params={"min_score": 0.2, "status": "NEW", "account_id": "acc-2"})).json()
    assert [row["transaction_id"] for row in page["anomalies"]] == ["a-0026", "a-0020"]
    assert (page["count"], page["limit"], page["offset"]) == (2, 100, 0)
    page = (await analyst.get("/api/v1/transactions/acc-0", params={"limit": 2})).json()
    assert [row["transaction_id"] for row in page["transactions"]] == ["a-0027", "a-0024"]
    assert (await analyst.get("/api/v1/transactions/nobody")).json() == {
        "transactions": [],
        "count": 0,
        "limit": 100,
        "offset": 0,
        "next": None,
    }


async def test_ties_are_broken_by_the_id(api: Api, analyst: httpx2.AsyncClient) -> None:
    """Rows of the same moment have one order on every page."""
    async with await psycopg.AsyncConnection.connect(
        api.settings.database_url.get_secret_value(), autocommit=True
    ) as connection:
        await connection.execute("UPDATE anomalies SET detected_at = '2025-01-01'")
    ids = []
    for offset in range(0, 30, 10):
        page = (await analyst.get(ANOMALIES, params={"limit": 10, "offset": offset})).json()
        ids += [row["transaction_id"] for row in page["anomalies"]]
    assert ids == sorted(ids)
    assert len(set(ids)) == 30


async def test_a_row_has_one_form(analyst: httpx2.AsyncClient) -> None:
    """Amounts have two decimals, times are ISO 8601 in UTC; lists, single rows and updates agree to the byte."""
    row = (await analyst.get(f"{ANOMALIES}/a-0007")).content
    assert b'"amount":7.50,' in row
    assert b'"detected_at":"2025-01-01T10:07:00+00:00"' in row
    assert b'"score":0.07,' in row
    listed = (await analyst.get(ANOMALIES, params={"limit": 100})).content
    assert row in listed
    updated = await analyst.put(f"{ANOMALIES}/a-0007", json={"new_status": "CONFIRMED"})
    again = await analyst.get(f"{ANOMALIES}/a-0007")
    assert status_of(again) == "fwd=stale; stored; detail=db"
    assert updated.content == again.content
    assert updated.content in (await analyst.get(ANOMALIES)).content
    assert json.loads(row, parse_float=Decimal)["amount"] == Decimal("7.50")


@pytest.mark.parametrize("table", [ANOMALIES_TABLE, TRANSACTIONS_TABLE])
async def test_a_row_shows_the_tables_columns(filled_url: str, table: Table) -> None:
    """All of them, in their order: a column that is added to sql/ is added to the answers. The same may be null."""
    async with await psycopg.AsyncConnection.connect(filled_url) as connection:
        cursor = await connection.execute(
            "SELECT attname::text, NOT attnotnull FROM pg_attribute"
            " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            (table.name,),
        )
        columns = await cursor.fetchall()
    assert tuple(name for name, _ in columns) == table.columns
    described = table.row.model_json_schema()["properties"]
    assert {name for name, nullable in columns if nullable} == {
        name for name, schema in described.items() if {"type": "null"} in schema.get("anyOf", ())
    }


async def test_what_is_not_there_is_not_found(analyst: httpx2.AsyncClient) -> None:
    """A 404 says what there is not; it is not cached."""
    for _ in range(2):
        response = await analyst.get(f"{ANOMALIES}/nothing")
        assert response.status_code == 404
        assert response.headers["content-type"] == "application/problem+json"
        assert "cache-status" not in response.headers
        assert response.headers["cache-control"] == "no-store"


async def test_any_text_can_be_an_id(api: Api, analyst: httpx2.AsyncClient) -> None:
    """Slashes, blanks, quotes and other scripts included, percent-encoded as they must be."""
    strange = ["a/b", "a b+c&d=e", "ß漢'\"", "100%", "a?b#c"]
    async with await psycopg.AsyncConnection.connect(
        api.settings.database_url.get_secret_value(), autocommit=True
    ) as connection:
        for name in strange:
            await connection.execute(
                "INSERT INTO anomalies (transaction_id, account_id, amount, currency, score)"
                " VALUES (%(name)s, %(name)s, 1, 'EUR', 0)",
                {"name": name},
            )
    for name in strange:
        response = await analyst.get(httpx2.URL("http://api").copy_with(raw_path=_path(f"{ANOMALIES}/", name)))
        assert response.status_code == 200, name
        assert response.json()["transaction_id"] == name
        response = await analyst.get(ANOMALIES, params={"account_id": name})
        assert response.json()["count"] == 1, name


def _path(base: str, name: str) -> bytes:
    return (base + quote(name, safe="")).encode()


async def test_the_key_in_redis_is_the_documented_one(
    analyst: httpx2.AsyncClient, redis_url: str, cache_prefix: str
) -> None:
    """`?limit=100` and no limit share the entry whose key anybody can work out."""
    await analyst.get(ANOMALIES, params={"min_score": "0.80", "status": "NEW"})
    response = await analyst.get(f"{ANOMALIES}?status=NEW&offset=0&min_score=.8&limit=100")
    assert status_of(response) == "hit; detail=l1"
    key = cache_prefix + cache_key("anomalies", limit=100, offset=0, min_score=0.8, status="NEW")
    async with Redis.from_url(redis_url) as redis:

        async def stored() -> bool:
            return bool(await redis.exists(key))

        await eventually(stored)
        wire = await redis.get(key)
        assert isinstance(wire, bytes)
        assert wire.endswith(b"\n" + response.content)


async def test_admins_always_read_fresh(api: Api, analyst: httpx2.AsyncClient, admin: httpx2.AsyncClient) -> None:
    """They neither read the cache nor write it, and nobody may keep their answers."""
    for _ in range(2):
        response = await admin.get(ANOMALIES, params={"limit": 4})
        assert status_of(response) == "fwd=bypass; detail=admin"
        assert response.headers["cache-control"] == "no-store"
    assert status_of(await analyst.get(ANOMALIES, params={"limit": 4})) == MISS
    # A change that nobody announces: only whoever asks Postgres sees it.
    async with await psycopg.AsyncConnection.connect(
        api.settings.database_url.get_secret_value(), autocommit=True
    ) as connection:
        await connection.execute("UPDATE anomalies SET reason = 'new'")
    assert (await analyst.get(ANOMALIES, params={"limit": 4})).json()["anomalies"][0]["reason"] is None
    assert (await admin.get(ANOMALIES, params={"limit": 4})).json()["anomalies"][0]["reason"] == "new"


async def test_the_role_is_not_taken_from_a_header(analyst: httpx2.AsyncClient) -> None:
    """An analyst who says to be an admin is an analyst."""
    response = await analyst.get(ANOMALIES, headers={"User-Role": "admin", "X-Role": "admin", "Role": "admin"})
    assert "detail=admin" not in response.headers["cache-status"]


async def test_a_hundred_requests_make_one_load(analyst: httpx2.AsyncClient) -> None:
    """Of a cold key, at once."""
    before = metric((await analyst.get("/metrics")).text, _LOADS)
    responses = await asyncio.gather(*(analyst.get(ANOMALIES, params={"limit": 9}) for _ in range(100)))
    assert {response.status_code for response in responses} == {200}
    assert len({response.content for response in responses}) == 1
    text = (await analyst.get("/metrics")).text
    assert metric(text, _LOADS) == before + 1
    assert metric(text, 'cache_single_flight_joins_total{cache_key_type="anomalies"}') >= 90


_LOADS = 'cache_loads_total{cache_key_type="anomalies",outcome="ok"}'


async def test_without_the_cache_all_is_read_from_postgres(filled_url: str, redis_url: str, cache_prefix: str) -> None:
    """CACHE_ENABLED=false: nothing is stored, and the process is ready all the same."""
    settings = settings_for(filled_url, redis_url, cache_prefix, cache_enabled=False)
    async with caching(settings) as api, api.client() as client, Redis.from_url(redis_url) as redis:
        for _ in range(2):
            assert status_of(await client.get(ANOMALIES)) == "fwd=bypass; detail=disabled"
        assert (await client.get("/readyz")).json()["checks"]["cache"] == "disabled"
        assert await redis.keys(f"{cache_prefix}anomalies:*") == []


async def test_warming_fills_the_cache_with_the_configured_queries(api: Api, analyst: httpx2.AsyncClient) -> None:
    """The first request of a common query is a hit."""
    for query in api.settings.warm_queries.split():
        assert status_of(await analyst.get(f"{ANOMALIES}?{query}")).startswith("hit; detail=l")
