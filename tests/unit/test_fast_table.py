"""The table of known targets, and responses made a moment ago."""

from math import ceil, floor

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from coherence.query import Query
from service.fast.asking import Asking, Form
from service.fast.heads import LONGEST_HEAD, Heads
from service.fast.recent import LONGEST_FORM, MOST_RECENT, Ready, Recent
from service.fast.table import LONGEST_TARGET, Known, Table, target_of
from service.metrics import Metrics

KNOWN = Known(Query("anomalies", {"limit": 2}), "/api/v1/anomalies")


def test_what_is_learned_is_known() -> None:
    """By its exact bytes."""
    table = Table()
    table.learn(b"/a?b", KNOWN)
    assert table.get(b"/a?b") is KNOWN
    assert table.get(b"/a?b&") is None


def test_it_holds_no_more_than_it_may() -> None:
    """The oldest target makes room; a long one is not worth its place; learning one again changes nothing."""
    table = Table(most=3)
    for number in range(5):
        table.learn(b"/%d" % number, KNOWN)
        table.learn(b"/%d" % number, KNOWN)
    assert len(table) == 3
    assert [table.get(b"/%d" % number) is not None for number in range(5)] == [False, False, True, True, True]
    table.learn(b"/" * (LONGEST_TARGET + 1), KNOWN)
    assert len(table) == 3


@pytest.mark.parametrize(
    ("path", "query_string", "target"), [(b"/a", b"", b"/a"), (b"/a", b"b=1", b"/a?b=1"), (b"/a%2F", b"?", b"/a%2F??")]
)
def test_a_target_is_what_the_client_wrote(path: bytes, query_string: bytes, target: bytes) -> None:
    """So that it can be found before anything is parsed."""
    assert target_of(path, query_string) == target


ASKING = Asking(KNOWN.query, 0, Form(KNOWN.template, "GET", None, ()))


def test_a_head_is_kept_when_it_comes_again() -> None:
    """One that has something of its own in it pushes nothing out, and one that is long is not worth its place."""
    heads = Heads(most=3)
    heads.learn(b"again", 5, ASKING)
    assert heads.get(b"again") is None
    heads.learn(b"again", 5, ASKING)
    for number in range(100):
        heads.learn(b"%d" % number, 1, ASKING)
    assert heads.get(b"again") is ASKING
    assert heads.get(b"again ") is None
    for _ in range(2):
        heads.learn(b"long", LONGEST_HEAD + 1, ASKING)
    assert len(heads) == 1
    assert len(heads._once) <= 3


def test_no_more_heads_are_kept_than_may_be() -> None:
    """The oldest makes room; learning one again changes nothing."""
    heads = Heads(most=3)
    for number in range(5):
        for _ in range(3):
            heads.learn(b"%d" % number, 1, ASKING)
    assert [heads.get(b"%d" % number) is not None for number in range(5)] == [False, False, True, True, True]


def test_few_and_small_responses_are_kept() -> None:
    """What a client says of itself does not fill the memory."""
    ready = Ready(200, (), b"", Metrics(["anomalies"]).tally("anomalies", "/a", "GET", 200))
    recent = Recent(0, 60)
    recent.put(Form("/a", "GET", b"x" * (LONGEST_FORM + 1), ()), ready)
    recent.put(Form("/a", "GET", None, (b"x" * LONGEST_FORM, b"y")), ready)
    assert len(recent._responses) == 0
    for number in range(MOST_RECENT + 3):
        recent.put(Form("/a", "GET", b"%d" % number, ()), ready)
    assert len(recent._responses) == MOST_RECENT
    assert recent.get(Form("/a", "GET", b"0", ())) is ready


@given(st.floats(0, 70), st.floats(0, 70), st.integers(0, 70), st.integers(0, 70))
@example(1.0, 59.0, 1, 59)
@example(1.0, 59.0, 0, 60)
@example(0.0, 60.0, 0, 60)
def test_a_response_is_sent_while_it_says_what_a_new_one_would(age: float, left: float, says: int, ttl: int) -> None:
    """Its age rounded down, its time left rounded up: to the very moment."""
    assert Recent(says, ttl).fits(age, left) == (floor(age) == says and ceil(left) == ttl)
