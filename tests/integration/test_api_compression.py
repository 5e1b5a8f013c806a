"""Negotiated content codings: made once a fill, and served as stored bytes."""

import gzip
import json
import zlib
from collections.abc import AsyncIterator

import brotli
import httpx2
import pytest
from redis.asyncio import Redis

from coherence.coding import unzstd
from coherence.keys import cache_key
from tests.support.api import ANALYST_KEY, ANOMALIES, Api, caching, metric, settings_for, status_of
from tests.support.waiting import eventually

LARGE = f"{ANOMALIES}?limit=30"
CODINGS = ("zstd", "br", "gzip")


async def get(client: httpx2.AsyncClient, accept: str | None, path: str = LARGE, **headers: str) -> httpx2.Response:
    """Ask with an Accept-Encoding, or without; leave the body as it came."""
    request = client.build_request("GET", path, headers=headers)
    del request.headers["accept-encoding"]
    if accept is not None:
        request.headers["accept-encoding"] = accept
    response = await client.send(request, stream=True)
    body = b"".join([part async for part in response.aiter_raw()])
    response.extensions["raw"] = body
    assert int(response.headers.get("content-length", 0)) == len(body)
    assert "Accept-Encoding" in response.headers["vary"]
    return response


async def get_coded(client: httpx2.AsyncClient, coding: str, path: str = LARGE) -> httpx2.Response:
    """Ask until the answer comes in a coding: the first ones may be plain."""

    async def coded() -> httpx2.Response | None:
        response = await get(client, coding, path)
        return response if response.headers.get("content-encoding") == coding else None

    found = await eventually(coded)
    assert found is not None
    return found


def decode(coding: str, body: bytes, length: int) -> bytes:
    """Undo a coding."""
    match coding:
        case "gzip":
            return gzip.decompress(body)
        case "br":
            return bytes(brotli.decompress(body))
    return unzstd(body, length)


@pytest.mark.parametrize("coding", CODINGS)
async def test_a_hit_comes_in_the_coding_that_was_asked_for(analyst: httpx2.AsyncClient, coding: str) -> None:
    """The same answer in fewer bytes, with a tag of its own; those without it get plain bytes still."""
    plain = await get(analyst, None)
    coded = await get_coded(analyst, coding)
    again = await get(analyst, None)
    assert "content-encoding" not in again.headers
    assert again.extensions["raw"] == plain.extensions["raw"]
    assert decode(coding, coded.extensions["raw"], len(plain.extensions["raw"])) == plain.extensions["raw"]
    assert len(coded.extensions["raw"]) < 0.5 * len(plain.extensions["raw"])
    assert coded.headers["etag"] == plain.headers["etag"][:-1] + f'-{coding}"'
    assert status_of(coded) == "hit; detail=l1"


async def test_the_first_answer_waits_for_no_compression(analyst: httpx2.AsyncClient) -> None:
    """It is plain, and its tag spares a client the coded form of the same."""
    first = await get(analyst, "gzip")
    assert "content-encoding" not in first.headers
    assert status_of(first) == "fwd=uri-miss; stored; detail=db"
    coded = await get_coded(analyst, "gzip")
    for tag in (first.headers["etag"], coded.headers["etag"], f"W/{coded.headers['etag']}"):
        response = await get(analyst, "gzip", **{"If-None-Match": tag})
        assert (response.status_code, response.headers["etag"]) == (304, tag.removeprefix("W/"))
    assert (await get(analyst, None, **{"If-None-Match": coded.headers["etag"]})).status_code == 200


async def test_each_coding_is_made_once_a_fill(analyst: httpx2.AsyncClient) -> None:
    """However many ask; and only those that somebody asked for, beside what Redis holds."""
    await get(analyst, "gzip")
    await get_coded(analyst, "gzip")
    for _ in range(20):
        await get(analyst, "gzip")
    text = (await analyst.get("/metrics")).text
    assert metric(text, 'cache_compressions_total{coding="gzip"}') == 1
    assert metric(text, 'cache_compressions_total{coding="br"}') == 0


async def test_whoever_takes_no_plain_bytes_gets_none(analyst: httpx2.AsyncClient, admin: httpx2.AsyncClient) -> None:
    """Such an answer is coded while the client waits, a miss and a bypass too; 406 where there is no coding."""
    for client, path in ((analyst, LARGE), (analyst, LARGE), (admin, LARGE), (analyst, f"{ANOMALIES}/a-0003")):
        response = await get(client, "gzip, identity;q=0", path)
        assert response.headers["content-encoding"] == "gzip"
        assert zlib.decompress(response.extensions["raw"], 31).startswith(b"{")
    request = analyst.build_request("GET", LARGE, headers={"Accept-Encoding": "identity;q=0, deflate"})
    refused = await analyst.send(request)
    assert refused.status_code == 406
    assert refused.json()["type"].endswith(":not-acceptable")


async def test_a_small_answer_is_not_compressed(analyst: httpx2.AsyncClient) -> None:
    """It would not pay."""
    for _ in range(3):
        response = await get(analyst, "gzip, br, zstd", f"{ANOMALIES}/a-0003")
        assert "content-encoding" not in response.headers


@pytest.fixture
async def other(api: Api) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of another process with the same caches."""
    async with caching(api.settings) as process, process.client() as client:
        yield client


async def test_redis_holds_what_is_sent(
    analyst: httpx2.AsyncClient, other: httpx2.AsyncClient, redis_url: str, cache_prefix: str
) -> None:
    """Compressed; another process sends these very bytes, or the plain ones, with the tags that the first gives."""
    plain = await get(analyst, None)
    async with Redis.from_url(redis_url) as redis:

        async def written() -> object:
            return await redis.get(cache_prefix + cache_key("anomalies", limit=30, offset=0))

        wire = await eventually(written)
    assert isinstance(wire, bytes)
    stored = wire.partition(b"\n")[2]
    assert len(stored) < 0.5 * len(plain.extensions["raw"])
    from_redis = await get(other, "zstd")
    assert status_of(from_redis) == "hit; detail=l2"
    assert from_redis.headers["content-encoding"] == "zstd"
    assert from_redis.extensions["raw"] == stored
    assert (await get(other, None)).extensions["raw"] == plain.extensions["raw"]
    here = await get_coded(analyst, "zstd")
    assert (here.headers["etag"], here.extensions["raw"]) == (from_redis.headers["etag"], stored)


async def test_without_compression_nothing_is_compressed(migrated_url: str, redis_url: str, cache_prefix: str) -> None:
    """CACHE_COMPRESSION=none, to clients and in Redis."""
    settings = settings_for(migrated_url, redis_url, cache_prefix, cache_compression="none")
    async with caching(settings) as api, api.client(ANALYST_KEY) as client:
        for _ in range(3):
            response = await get(client, "gzip, br, zstd")
            assert "content-encoding" not in response.headers
            assert json.loads(response.extensions["raw"])["count"] == 0
