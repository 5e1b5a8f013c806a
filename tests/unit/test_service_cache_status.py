"""The Cache-Status header."""

from typing import Any

import http_sf
import pytest

from coherence.answer import Answer
from service.cache_status import forward_status, hit_status, unproven_status

ORIGINS = [
    Answer(b"", '"e"', "db", "uri-miss", stored=True),
    Answer(b"", '"e"', "db", "stale", stored=True, collapsed=True),
    Answer(b"", '"e"', "db", "bypass", "no-lease"),
    Answer(b"", '"e"', "db", "request", stored=True),
]
HITS = [
    hit_status("l1", 3.5),
    hit_status("l2", 0.0),
    unproven_status(Answer(b"", '"e"', "l1", ttl=3.5, unproven="ttl")),
    unproven_status(Answer(b"", '"e"', "l2", ttl=-3.5, unproven="stale-if-error")),
]


@pytest.mark.parametrize(
    ("answer", "header"),
    [
        (Answer(b"", '"e"', "db", "uri-miss", stored=True), b"anomaly-cache; fwd=uri-miss; stored; detail=db"),
        (Answer(b"", '"e"', "db", "uri-miss"), b"anomaly-cache; fwd=uri-miss; detail=db"),
        (Answer(b"", '"e"', "db", "stale", stored=True), b"anomaly-cache; fwd=stale; stored; detail=db"),
        (
            Answer(b"", '"e"', "db", "uri-miss", stored=True, collapsed=True),
            b"anomaly-cache; fwd=uri-miss; stored; collapsed; detail=db",
        ),
        (Answer(b"", '"e"', "db", "bypass", "admin"), b"anomaly-cache; fwd=bypass; detail=admin"),
        (Answer(b"", '"e"', "db", "bypass", "no-lease"), b"anomaly-cache; fwd=bypass; detail=no-lease"),
    ],
)
def test_it_says_how_the_answer_came_about(answer: Answer, header: bytes) -> None:
    """In the form of RFC 9211."""
    assert forward_status(answer) == header


@pytest.mark.parametrize(
    ("layer", "ttl", "header"),
    [("l1", 41.2, b"anomaly-cache; hit; ttl=42; detail=l1"), ("l2", 41.0, b"anomaly-cache; hit; ttl=41; detail=l2")],
)
def test_of_a_hit_it_says_where_and_for_how_long(layer: str, ttl: float, header: bytes) -> None:
    """The TTL in whole seconds, rounded up."""
    assert hit_status(layer, ttl) == header


@pytest.mark.parametrize("header", [*map(forward_status, ORIGINS), *HITS])
def test_a_parser_of_structured_fields_reads_it(header: bytes) -> None:
    """A list of one cache, with the parameters of RFC 9211 in their types."""
    parsed: Any = http_sf.parse(header, tltype="list")
    ((cache, parameters),) = parsed
    assert str(cache) == "anomaly-cache"
    types = {"hit": bool, "ttl": int, "fwd": http_sf.Token, "stored": bool, "collapsed": bool, "detail": http_sf.Token}
    assert {name: type(value) for name, value in parameters.items()} == {name: types[name] for name in parameters}
    assert ("hit" in parameters) is not ("fwd" in parameters)
