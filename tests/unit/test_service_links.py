"""The link to the next page, in a body and in a header."""

import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.links import link_headers, page_end
from service.queries import ANOMALIES, TRANSACTIONS
from service.questions import Listing


def test_the_header_says_what_the_body_says() -> None:
    """As RFC 8288 writes it."""
    body = b'{"anomalies":[{"a":1}' + page_end(1, 1, 0, "/api/v1/anomalies?limit=1&cursor=x-_1")
    assert json.loads(body)["next"] == "/api/v1/anomalies?limit=1&cursor=x-_1"
    assert link_headers(body) == ((b"link", b'</api/v1/anomalies?limit=1&cursor=x-_1>; rel="next"'),)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b'{"anomalies":[' + page_end(0, 1, 0, None),
        b'{"transaction_id":"a"}',
        b'{"a":",\\"next\\":\\"/x\\"}"}',
        b'{"a":{"next":"/x"},"b":1}',
        b'{"a":1,"next":"elsewhere"}',
        b'{"a":1,"next":"/x> ; rel=\\"self\\""}',
        b'{"a":1,"next":"/x\\r\\nset-cookie: a"}',
    ],
)
def test_what_is_no_page_with_a_next_one_has_no_header(body: bytes) -> None:
    """Whatever its rows hold."""
    assert link_headers(body) == ()


@given(st.text(min_size=1, max_size=20).filter(lambda text: "\0" not in text), st.text(max_size=20))
def test_every_link_is_one_for_a_header(account: str, key: str) -> None:
    """Whatever stands in parameters and rows."""
    asked = ((ANOMALIES, f"limit=1&account_id={quote(account)}", ""), (TRANSACTIONS, "limit=1", account))
    for question, query_string, path_value in asked:
        assert isinstance(question, Listing)
        try:
            query = question.ask(query_string.encode(), path_value)
        except UnicodeEncodeError:  # half a surrogate pair has no UTF-8
            return
        time = "2025-01-01T00:00:00+00:00"
        body = question.content(query, [(b"{}", 1, time, time, key)]).body
        ((name, value),) = link_headers(body)
        assert (name, value.decode()) == (b"link", f'<{json.loads(body)["next"]}>; rel="next"')
