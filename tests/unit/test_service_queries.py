"""From a query to SQL, and from rows to an answer."""

import json

import pytest

from coherence.keys import cache_key
from coherence.rows import Page
from service.parameters import PageParameters, Text
from service.place import Place
from service.problems import Problem
from service.queries import ANOMALIES, ANOMALIES_TABLE, ANOMALY, SET_STATUS, TRANSACTIONS
from service.questions import Listing, distinct
from service.tables import Filter

NO_ROWS = (None, 0, None, None, None)
"""What Postgres answers for a page where there are no rows."""


def test_only_what_is_asked_for_is_filtered_by() -> None:
    """A filter that is not given leaves no condition behind."""
    sql, values = ANOMALIES.statement(ANOMALIES.ask(b"", ""))
    assert "WHERE" not in sql
    assert values == {"limit": 100, "offset": 0}
    sql, values = ANOMALIES.statement(ANOMALIES.ask(b"min_score=0&status=NEW&account_id=x", ""))
    assert "WHERE score >= %(min_score)s AND status = %(status)s AND account_id = %(account_id)s ORDER" in sql
    assert values == {"limit": 100, "offset": 0, "min_score": 0.0, "status": "NEW", "account_id": "x"}


def test_values_never_become_sql() -> None:
    """What a client sends is a parameter of the statement, not a part of it."""
    evil = "'; DROP TABLE anomalies; --"
    for sql, _ in (
        ANOMALY.statement(ANOMALY.ask(b"", evil)),
        TRANSACTIONS.statement(TRANSACTIONS.ask(b"", evil)),
        ANOMALIES.statement(ANOMALIES.ask(b"account_id=%27%3B+DROP", "")),
    ):
        assert "DROP" not in sql


def test_the_order_is_newest_first_with_ties_broken() -> None:
    """Pages neither overlap nor leave anything out."""
    assert "ORDER BY detected_at DESC, transaction_id LIMIT" in ANOMALIES.statement(ANOMALIES.ask(b"", ""))[0]
    assert "ORDER BY occurred_at DESC, transaction_id LIMIT" in TRANSACTIONS.statement(TRANSACTIONS.ask(b"", "a"))[0]


def test_rows_are_joined_as_they_are() -> None:
    """The bytes that Postgres made are the bytes of the answer."""
    query = ANOMALIES.ask(b"limit=2&offset=4", "")
    content = ANOMALIES.content(query, [(b'{"amount":1.50}', 1, "b", "b", "t-1")])
    assert content.page == Page("b", "b", full=False)
    body = content.body
    assert body == b'{"anomalies":[{"amount":1.50}],"count":1,"limit":2,"offset":4,"next":null}'
    empty = {"anomalies": [], "count": 0, "limit": 2, "offset": 4, "next": None}
    assert json.loads(ANOMALIES.content(query, [NO_ROWS]).body) == empty
    assert ANOMALIES.content(query, [NO_ROWS]).page == Page(None, None, full=False, empty=True)
    assert TRANSACTIONS.content(TRANSACTIONS.ask(b"", "a"), [NO_ROWS]).body.startswith(b'{"transactions":[]')


def test_no_row_is_a_404() -> None:
    """A single row is there, or is not found."""
    query = ANOMALY.ask(b"", "a")
    assert ANOMALY.content(query, [(b'{"transaction_id":"a"}',)]).body == b'{"transaction_id":"a"}'
    with pytest.raises(Problem) as refusal:
        ANOMALY.content(query, [])
    assert refusal.value.status == 404


def test_an_update_shows_the_columns_that_a_read_shows() -> None:
    """The row that a PUT answers is built like any other."""
    columns = ANOMALY.table.column_list
    assert f"(SELECT {columns} FROM updated)" in SET_STATUS  # noqa: S608 - no query


def test_a_request_is_checked_once() -> None:
    """The same request again is answered from memory, errors are not remembered."""
    first = ANOMALIES.ask(b"limit=17", "")
    assert ANOMALIES.ask(b"limit=17", "") is first


PLACE = Place("2025-01-01T12:00:00.5+00:00", 't "1"/\N{SNOWMAN}')
ONE_ROW = (b'{"amount":1.50}', 1, PLACE.value, PLACE.value, PLACE.key)


def test_a_full_page_links_to_what_is_behind_its_last_row() -> None:
    """With what was asked for, in one form, and a cursor instead of an offset; a list that has ended has no link."""
    query = ANOMALIES.ask(b"limit=1&offset=4&min_score=0.50&account_id=a%26b", "")
    link = json.loads(ANOMALIES.content(query, [ONE_ROW]).body)["next"]
    path, _, query_string = link.partition("?")
    assert path == ANOMALIES.path
    following = ANOMALIES.ask(query_string.encode(), "")
    assert dict(following.parameters) == {**query.parameters, "offset": 0, "cursor": PLACE.as_cursor(path)}
    assert following.key == cache_key(
        "anomalies", limit=1, offset=0, min_score=0.5, account_id="a&b", cursor=PLACE.as_cursor(path)
    )
    of_account = TRANSACTIONS.ask(b"limit=1", "acc/1 %")
    link = json.loads(TRANSACTIONS.content(of_account, [ONE_ROW]).body)["next"]
    assert link.startswith("/api/v1/transactions/acc%2F1%20%25?limit=1&cursor=")


def test_behind_a_cursor_rows_are_read_from_their_place() -> None:
    """Those that are level with it, by key, then those below: each in the order of an index. No offset."""
    cursor = PLACE.as_cursor(ANOMALIES.path)
    sql, values = ANOMALIES.statement(ANOMALIES.ask(f"status=NEW&cursor={cursor}".encode(), ""))
    assert "WHERE status = %(status)s AND detected_at = %(after)s AND transaction_id > %(after_key)s ORDER" in sql
    assert "WHERE status = %(status)s AND detected_at < %(after)s ORDER" in sql
    assert "OFFSET" not in sql
    assert (values["after"], values["after_key"]) == (PLACE.value, PLACE.key)
    cursor = Place(None, "k").as_cursor(ANOMALIES.path)
    sql, _ = ANOMALIES.statement(ANOMALIES.ask(f"cursor={cursor}".encode(), ""))
    assert "WHERE detected_at IS NULL AND transaction_id > %(after_key)s ORDER" in sql
    assert "WHERE detected_at IS NOT NULL ORDER" in sql


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (f"cursor={PLACE.as_cursor(ANOMALIES.path)}&offset=1", "offset"),
        (f"cursor={PLACE.as_cursor(TRANSACTIONS.path)}", "cursor"),
        ("cursor=x", "cursor"),
        ("cursor=%F0%9F%98%80", "cursor"),
        (f"cursor={PLACE.as_cursor(ANOMALIES.path)}%3D", "cursor"),
        (f"cursor={'x' * 3801}", "cursor"),
    ],
)
def test_a_cursor_of_another_list_or_make_is_refused(asked: str, field: str) -> None:
    """And one beside an offset; the field that is wrong is named."""
    with pytest.raises(Problem) as refusal:
        ANOMALIES.ask(asked.encode(), "")
    assert (refusal.value.status, refusal.value.faults[0].field) == (422, field)


class ByShop(PageParameters):
    """A page of something, by what the list of anomalies does not know."""

    shop: Text | None = None


def test_two_routes_cannot_share_a_key() -> None:
    """Of one namespace, with parameters of the same names as far as both must have them."""
    other = Listing(
        "/api/v1/other", namespace="anomalies", parameters=ByShop, table=ANOMALIES_TABLE, filters={"shop": Filter("s")}
    )
    assert ANOMALIES.ask(b"", "").key == other.ask(b"", "").key
    with pytest.raises(ValueError, match=r"/api/v1/anomalies and /api/v1/other would share"):
        distinct(ANOMALIES, ANOMALY, other)
