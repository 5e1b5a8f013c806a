"""From a query to SQL, and from rows to an answer."""

import json

import pytest

from service.problems import Problem
from service.queries import ANOMALIES, ANOMALY, SET_STATUS, TRANSACTIONS


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
    body = ANOMALIES.content(query, [(b'{"amount":1.50}', "b"), (b'{"amount":2.00}', "a")]).body
    assert body == b'{"anomalies":[{"amount":1.50},{"amount":2.00}],"count":2,"limit":2,"offset":4}'
    assert json.loads(ANOMALIES.content(query, []).body) == {"anomalies": [], "count": 0, "limit": 2, "offset": 4}
    assert TRANSACTIONS.content(TRANSACTIONS.ask(b"", "a"), []).body.startswith(b'{"transactions":[]')


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
