"""What a request may say, and the one form that it gets."""

import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.parameters import QUERY_STRING_LIMIT, parse_query_string
from service.problems import Fault, Problem
from service.queries import ANOMALIES, ANOMALY, TRANSACTIONS
from service.questions import Question


def refused(query_string: bytes) -> Problem:
    """Return the problem that the list of anomalies has with a query string."""
    with pytest.raises(Problem) as refusal:
        ANOMALIES.ask(query_string, "")
    return refusal.value


@pytest.mark.parametrize(
    ("query_string", "field"),
    [
        (b"limit=0", "limit"),
        (b"limit=1001", "limit"),
        (b"limit=ten", "limit"),
        (b"limit=1.0", "limit"),
        (b"limit=1e2", "limit"),
        (b"limit=1_0", "limit"),
        (b"limit=+1", "limit"),
        (b"limit=%201", "limit"),
        (b"limit=%D9%A1", "limit"),
        (b"limit=99999999999999999999999999", "limit"),
        (b"limit=", "limit"),
        (b"limit", "limit"),
        (b"limit=1&limit=1", "limit"),
        (b"limit=1&limit=2", "limit"),
        (b"offset=-1", "offset"),
        (b"offset=9223372036854775808", "offset"),
        (b"min_score=nan", "min_score"),
        (b"min_score=NaN", "min_score"),
        (b"min_score=inf", "min_score"),
        (b"min_score=-inf", "min_score"),
        (b"min_score=Infinity", "min_score"),
        (b"min_score=1e999", "min_score"),
        (b"min_score=1.0000001", "min_score"),
        (b"min_score=-0.1", "min_score"),
        (b"min_score=0x1", "min_score"),
        (b"min_score=0_1", "min_score"),
        (b"min_score=", "min_score"),
        (b"status=new", "status"),
        (b"status=OLD", "status"),
        (b"status=", "status"),
        (b"account_id=", "account_id"),
        (b"account_id=a%00b", "account_id"),
        (b"account_id=" + b"x" * 257, "account_id"),
        (b"account_id=%FF", "query"),
        (b"account_id=%ED%A0%80", "query"),
        (b"account_id=\xff", "query"),
        (b"nonsense=1", "nonsense"),
        (b"Limit=1", "Limit"),
        (b"=1", ""),
        (b"transaction_id=x", "transaction_id"),
    ],
)
def test_what_is_wrong_with_a_request_is_a_422_that_names_it(query_string: bytes, field: str) -> None:
    """Out of range, empty, repeated, unknown, not a number, not UTF-8, NUL: each names its parameter."""
    problem = refused(query_string)
    assert problem.status == 422
    assert problem.faults[0].field == field


def test_every_fault_is_told_at_once() -> None:
    """A client need not find its mistakes one by one."""
    assert {fault.field for fault in refused(b"limit=0&offset=-1&nonsense=1").faults} == {"limit", "offset", "nonsense"}


def test_the_value_is_not_repeated_in_the_refusal() -> None:
    """What came in is not reflected."""
    assert b"zebra" not in refused(b"status=zebra&limit=zebra").as_json()


def test_an_endless_query_string_is_not_looked_at() -> None:
    """Past its limit it is a 414."""
    with pytest.raises(Problem) as refusal:
        parse_query_string(b"a=" + b"x" * QUERY_STRING_LIMIT)
    assert refusal.value.status == 414


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b"", b"limit=100&offset=0"),
        (b"limit=100", b"offset=0"),
        (b"limit=5&offset=7", b"offset=7&limit=5"),
        (b"limit=007", b"limit=7"),
        (b"min_score=0.8", b"min_score=0.80"),
        (b"min_score=0.8", b"min_score=.8e0"),
        (b"min_score=0.8", b"min_score=8e-1"),
        (b"min_score=0.8", b"min_score=%30.8"),
        (b"min_score=0", b"min_score=-0.0"),
        (b"min_score=0", b"min_score=0e5"),
        (b"min_score=1", b"min_score=1.000"),
        (b"account_id=a%20b", b"account_id=a+b"),
        (b"status=NEW", b"&&status=NEW&"),
    ],
)
def test_the_same_request_in_other_words_has_the_same_key(one: bytes, other: bytes) -> None:
    """Defaults are filled in, and numbers have one form."""
    assert ANOMALIES.ask(one, "") == ANOMALIES.ask(other, "")
    assert ANOMALIES.ask(one, "").key == ANOMALIES.ask(other, "").key


def test_different_requests_have_different_keys() -> None:
    """No two of these share an entry, nor do a list and a single row."""
    asked = [
        ANOMALIES.ask(text, "")
        for text in (b"", b"limit=99", b"offset=1", b"min_score=0", b"min_score=0.8", b"status=NEW", b"account_id=NEW")
    ]
    asked += [
        ANOMALY.ask(b"", "a"),
        ANOMALY.ask(b"", "b"),
        TRANSACTIONS.ask(b"", "a"),
        TRANSACTIONS.ask(b"limit=2", "a"),
    ]
    assert len({query.key for query in asked}) == len(asked)


def test_the_key_is_that_of_the_parameters() -> None:
    """Whoever knows the parameters can work the key out, today and after any restart."""
    query = ANOMALIES.ask(b"status=NEW&min_score=0.80", "")
    assert query.key == "anomalies:0ac9f5f21f05a5baddd3ca18bcd10ff2"


def test_a_value_of_the_path_does_not_come_from_the_query() -> None:
    """`?account_id=` beside the path's would say two things."""
    with pytest.raises(Problem) as refusal:
        TRANSACTIONS.ask(b"account_id=b", "a")
    assert refusal.value.faults[0].field == "account_id"


@given(st.floats(min_value=1e-6, max_value=1))
def test_every_way_to_write_a_score_is_one_key(score: float) -> None:
    """Shortest, long and exponent forms of a number are the same number."""
    forms = (repr(score), f"{score:.25f}", f"{score:.20e}", f"0{score:.25f}")
    assert len({ANOMALIES.ask(f"min_score={quote(form)}".encode(), "").key for form in forms}) == 1


@given(st.binary(max_size=60))
def test_no_query_string_does_harm(query_string: bytes) -> None:
    """Whatever comes is either a query or a problem of the client's."""
    try:
        ANOMALIES.ask(query_string, "")
    except Problem as problem:
        document = json.loads(problem.as_json())
    else:
        return
    assert document["status"] == 422


@pytest.mark.parametrize(
    ("question", "path_value", "there"),
    [
        (ANOMALIES, "", "limit, offset, cursor, min_score, status, account_id"),
        (TRANSACTIONS, "acc-1", "limit, offset, cursor"),
        (ANOMALY, "a-1", "none"),
    ],
)
def test_what_is_unknown_is_told_what_there_is(question: Question, path_value: str, there: str) -> None:
    """Of the query string: what stands in the path is no help there."""
    with pytest.raises(Problem) as raised:
        question.ask(b"colour=red", path_value)
    assert raised.value.faults == (Fault("colour", f"unknown (there is {there})"),)
