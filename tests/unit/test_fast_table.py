"""The table of known targets, and responses made a moment ago."""

import pytest

from coherence.query import Query
from service.fast.recent import LONGEST_ASKED, MOST_RECENT, Ready, Recent
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


def test_few_and_small_responses_are_kept() -> None:
    """What a client says of itself does not fill the memory."""
    ready = Ready(200, (), b"", b"", Metrics(["anomalies"]).tally("anomalies", "/a", "GET", 200))
    recent = Recent(0, 60)
    recent.put(("/a", "GET", b"x" * (LONGEST_ASKED + 1), ()), ready)
    recent.put(("/a", "GET", None, (b"x" * LONGEST_ASKED, b"y")), ready)
    assert len(recent._responses) == 0
    for number in range(MOST_RECENT + 3):
        recent.put(("/a", "GET", b"%d" % number, ()), ready)
    assert len(recent._responses) == MOST_RECENT
    assert recent.get(("/a", "GET", b"0", ())) is ready
