"""The Cache-Status header."""

import pytest

from coherence.cache import Answer
from service.cache_status import cache_status


@pytest.mark.parametrize(
    ("answer", "header"),
    [
        (Answer(b"", '"e"', "l1", ttl=41.2), b"anomaly-cache; hit; ttl=42; detail=l1"),
        (Answer(b"", '"e"', "l2", ttl=41.0), b"anomaly-cache; hit; ttl=41; detail=l2"),
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
    assert cache_status(answer) == header
