"""From page to page by cursors."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import httpx2
import psycopg
import pytest

from service.place import Place
from tests.support.api import ANOMALIES, status_of

LEVEL = """
    ALTER TABLE anomalies ALTER detected_at DROP NOT NULL;
    UPDATE anomalies SET detected_at = timestamptz '2025-01-01 12:00:00.5+00'
    WHERE transaction_id BETWEEN 'a-0005' AND 'a-0024';
    UPDATE anomalies SET detected_at = NULL WHERE transaction_id BETWEEN 'a-0010' AND 'a-0014';
"""
"""Most rows are level with each other, some have no time at all."""


async def walk(client: httpx2.AsyncClient, path: str) -> list[list[Any]]:
    """Return the rows of all pages, by their links."""
    pages: list[list[Any]] = []
    while path:
        response = await client.get(path)
        assert response.status_code == 200, response.text
        body = response.json()
        links = [f'<{body["next"]}>; rel="next"'] if body["next"] else []
        assert response.headers.get_list("link") == links
        (rows,) = [value for value in body.values() if isinstance(value, list)]
        assert body["count"] == len(rows)
        pages.append(rows)
        path = body["next"]
    return pages


def joined(pages: list[list[Any]]) -> Iterator[Any]:
    """Return the rows of pages."""
    return (row for page in pages for row in page)


@pytest.mark.parametrize("narrowed", ["", "&status=NEW", "&account_id=acc-0", "&min_score=0.07&status=INVESTIGATING"])
async def test_the_links_lead_through_the_list(analyst: httpx2.AsyncClient, filled_url: str, narrowed: str) -> None:
    """Each row once, in the order of the whole, whatever is level with whatever, and without a time."""
    async with await psycopg.AsyncConnection.connect(filled_url, autocommit=True) as connection:
        await connection.execute(LEVEL)
    whole = (await analyst.get(f"{ANOMALIES}?limit=1000{narrowed}")).json()
    for limit in (1, 3, 7):
        pages = await walk(analyst, f"{ANOMALIES}?limit={limit}{narrowed}")
        assert list(joined(pages)) == whole["anomalies"]
        assert {len(page) for page in pages[:-1]} <= {limit}


async def test_an_accounts_transactions_have_links_too(analyst: httpx2.AsyncClient) -> None:
    """The path says whose."""
    pages = await walk(analyst, "/api/v1/transactions/acc-1?limit=4")
    times = [row["occurred_at"] for row in joined(pages)]
    assert len(times) == 10
    assert all(earlier > later for earlier, later in pairwise(times))


async def test_rows_that_come_and_go_do_not_shift_what_follows(admin: httpx2.AsyncClient, filled_url: str) -> None:
    """Where an offset would show a row twice or leave one out."""
    first = (await admin.get(f"{ANOMALIES}?limit=10")).json()
    following = (await admin.get(first["next"])).json()
    assert following["anomalies"][0]["transaction_id"] == "a-0019"
    async with await psycopg.AsyncConnection.connect(filled_url, autocommit=True) as connection:
        await connection.execute("DELETE FROM anomalies WHERE transaction_id = 'a-0025'")
    assert (await admin.get(first["next"])).json() == following
    assert (await admin.get(f"{ANOMALIES}?limit=10&offset=10")).json()["anomalies"] != following["anomalies"]


async def test_a_page_behind_a_cursor_is_cached(analyst: httpx2.AsyncClient, admin: httpx2.AsyncClient) -> None:
    """And explained, like any other."""
    link = (await analyst.get(f"{ANOMALIES}?limit=10")).json()["next"]
    first, second = [await analyst.get(link) for _ in range(2)]
    assert status_of(first) == "fwd=uri-miss; stored; detail=db"
    assert (status_of(second), second.content) == ("hit; detail=l1", first.content)
    head = await analyst.head(link)
    known = await analyst.get(link, headers={"If-None-Match": first.headers["etag"]})
    assert (head.status_code, known.status_code) == (200, 304)
    following = f'<{first.json()["next"]}>; rel="next"'
    assert [response.headers["link"] for response in (first, second, head, known)] == [following] * 4
    explained = (await admin.get(link.replace(ANOMALIES, "/api/v1/cache/explain"))).json()
    assert explained["served"] is True
    assert explained["parameters"]["cursor"] in link


async def test_a_cursor_that_was_changed_is_refused(analyst: httpx2.AsyncClient) -> None:
    """422, naming it; an offset beside it, too, unless that is the default."""
    cursor = Place("2025-01-01T12:00:00+00:00", "a-0003").as_cursor(ANOMALIES)
    assert (await analyst.get(ANOMALIES, params={"cursor": cursor})).status_code == 200
    for changed in (cursor[:-1], "A" + cursor[1:], cursor[:20] + "x" + cursor[21:], "%00", "1"):
        response = await analyst.get(ANOMALIES, params={"cursor": changed})
        assert (response.status_code, response.json()["field"]) == (422, "cursor")
    response = await analyst.get("/api/v1/transactions/acc-1", params={"cursor": cursor})
    assert (response.status_code, response.json()["field"]) == (422, "cursor")
    response = await analyst.get(ANOMALIES, params={"cursor": cursor, "offset": 1})
    assert (response.status_code, response.json()["field"]) == (422, "offset")
    with_defaults = await analyst.get(ANOMALIES, params={"cursor": cursor, "offset": 0, "limit": 100})
    assert with_defaults.content == (await analyst.get(ANOMALIES, params={"cursor": cursor})).content
