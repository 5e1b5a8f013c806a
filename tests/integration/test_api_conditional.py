"""Validators, HEAD, and what a 304 is."""

import httpx2

from tests.support.api import ANOMALIES, Api, status_of

PATHS = [ANOMALIES, f"{ANOMALIES}/a-0003", "/api/v1/transactions/acc-0"]
UNCODED = {"Accept-Encoding": "identity"}
"""Else a hit may be answered in a coding that the miss before it did not have yet."""


async def test_what_the_client_has_is_not_sent_again(analyst: httpx2.AsyncClient) -> None:
    """The validators and the cache's word come along, a body does not."""
    for path in PATHS:
        etag = (await analyst.get(path, headers=UNCODED)).headers["etag"]
        for tags in (etag, f"W/{etag}", "*", f'"other", {etag}'):
            response = await analyst.get(path, headers={"If-None-Match": tags, **UNCODED})
            assert response.status_code == 304
            assert response.content == b""
            assert response.headers["etag"] == etag
            assert response.headers["cache-control"] == "private, no-cache"
            assert status_of(response).startswith("hit; ")
            assert "content-length" not in response.headers
        response = await analyst.get(path, headers={"If-None-Match": '"other"'})
        assert response.status_code == 200


async def test_who_wants_what_was_gets_nothing_else(analyst: httpx2.AsyncClient) -> None:
    """If-Match on a GET: 412 where the answer is another; a hit does not pass it by."""
    for path in PATHS:
        for _ in range(2):
            response = await analyst.get(path)
            etag = response.headers["etag"]
            for tags, status in ((etag, 200), ("*", 200), ('"other"', 412), (f"W/{etag}", 412)):
                response = await analyst.get(path, headers={"If-Match": tags})
                assert response.status_code == status


async def test_the_tag_is_strong_and_follows_the_bytes(analyst: httpx2.AsyncClient) -> None:
    """Another answer has another tag; the same answer, loaded again, the same."""
    first = await analyst.get(f"{ANOMALIES}/a-0003")
    assert first.headers["etag"].startswith('"')
    await analyst.put(f"{ANOMALIES}/a-0003", json={"new_status": "CONFIRMED"})
    changed = await analyst.get(f"{ANOMALIES}/a-0003", headers={"If-None-Match": first.headers["etag"]})
    assert changed.status_code == 200
    assert changed.headers["etag"] != first.headers["etag"]
    await analyst.put(f"{ANOMALIES}/a-0003", json={"new_status": "CONFIRMED"})
    same = await analyst.get(f"{ANOMALIES}/a-0003", headers={"If-None-Match": changed.headers["etag"]})
    assert same.status_code == 304
    assert status_of(same) == "fwd=stale; stored; detail=db"


async def test_nobody_gets_a_304_without_a_key(api: Api, analyst: httpx2.AsyncClient) -> None:
    """Knowing a tag is no authentication."""
    etag = (await analyst.get(ANOMALIES)).headers["etag"]
    async with api.client(None) as stranger:
        response = await stranger.get(ANOMALIES, headers={"If-None-Match": etag})
        assert response.status_code == 401
        assert "etag" not in response.headers


async def test_head_is_get_without_the_body(admin: httpx2.AsyncClient) -> None:
    """The headers are those that a GET would have."""
    for path in (*PATHS, "/livez", "/readyz", f"{ANOMALIES}/none"):
        got, asked = await admin.get(path), await admin.head(path)
        assert asked.status_code == got.status_code
        assert asked.content == b""
        assert asked.headers == got.headers
        assert int(asked.headers["content-length"]) == len(got.content)
    for path in ("/api/v1/cache/stats", "/metrics"):
        assert (await admin.head(path)).content == b""


async def test_a_head_warms_the_cache(analyst: httpx2.AsyncClient) -> None:
    """It asks the same question."""
    await analyst.head(ANOMALIES, params={"limit": 6})
    assert status_of(await analyst.get(ANOMALIES, params={"limit": 6})) == "hit; detail=l1"
