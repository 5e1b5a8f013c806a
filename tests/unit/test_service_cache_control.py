"""A request's Cache-Control."""

import math

import pytest

from service.cache_control import NOTHING_ASKED, Directives


@pytest.mark.parametrize(
    ("header", "directives"),
    [
        (b"", NOTHING_ASKED),
        (b"max-stale=5, private, foo=bar", NOTHING_ASKED),
        (b"no-cache", Directives(max_age=0, stale_if_error=0)),
        (b"max-stale=5,No-Cache", Directives(max_age=0, stale_if_error=0)),
        (b"max-age=0", Directives(max_age=0, stale_if_error=0)),
        (b"max-age=30", Directives(max_age=30, stale_if_error=0)),
        (b'max-age="30"', Directives(max_age=30, stale_if_error=0)),
        (b"max-age = 30", Directives(max_age=30, stale_if_error=0)),
        (b"max-age=30, max-age=20", Directives(max_age=20, stale_if_error=0)),
        (b"max-age=30, no-cache", Directives(max_age=0, stale_if_error=0)),
        (b"max-age=x", Directives(max_age=0, stale_if_error=0)),
        (b"max-age=-1", Directives(max_age=0, stale_if_error=0)),
        (b"max-age", Directives(max_age=0, stale_if_error=0)),
        (b"max-age=" + b"9" * 5000, Directives(max_age=9_999_999_999, stale_if_error=0)),
        (b"no-store", Directives(store=False)),
        (b"only-if-cached, max-age=5", Directives(max_age=5, stale_if_error=0, only_cached=True)),
        (b"stale-if-error=60", Directives(stale_if_error=60)),
        (b'Stale-If-Error="60", stale-if-error=30', Directives(stale_if_error=30)),
        (b"stale-if-error=x", NOTHING_ASKED),
        (b"no-cache, stale-if-error=60", Directives(max_age=0, stale_if_error=60)),
    ],
)
def test_what_is_asked_for(header: bytes, directives: Directives) -> None:
    """Directives we do not know ask for nothing; an age that cannot be read asks for the youngest."""
    assert Directives.of(header) == directives


def test_without_the_header_nothing_is_asked_for() -> None:
    """Any age will do."""
    assert Directives(math.inf, math.inf, store=True, only_cached=False) == NOTHING_ASKED
