"""If-None-Match, and If-Match."""

import pytest

from service.conditional import matching

ETAG = b'"abc"'


@pytest.mark.parametrize(
    "values",
    [
        [b'"abc"'],
        [b'W/"abc"'],
        [b"*"],
        [b" * "],
        [b'"x", "abc"'],
        [b'"x","abc","y"'],
        [b'"a,b" , W/"abc"'],
        [b',, "abc"'],
        [b'"x"', b'"abc"'],
        [b'"\xff", "abc"'],
    ],
)
def test_a_tag_that_is_named_is_not_sent_again(values: list[bytes]) -> None:
    """In lists, over several headers, weak or strong."""
    assert matching(values, [b'"def"', ETAG], ETAG) == ETAG


@pytest.mark.parametrize(
    "values",
    [
        [],
        [b""],
        [b"abc"],
        [b'"ABC"'],
        [b'"abc'],
        [b'w/"abc"'],
        [b'"abcd"'],
        [b'"x", *'],
        [b'garbage, "abc"'],
        [b'"x" garbage "abc"'],
    ],
)
def test_anything_else_is(values: list[bytes]) -> None:
    """Other tags, and what is no list of tags."""
    assert matching(values, [ETAG], ETAG) is None


def test_if_match_takes_strong_tags_alone() -> None:
    """A weak one says nothing of the bytes."""
    assert matching([b'"x", "abc"'], [ETAG], ETAG, weak=False) == ETAG
    assert matching([b"*"], [ETAG], ETAG, weak=False) == ETAG
    assert matching([b'W/"abc"'], [ETAG], ETAG, weak=False) is None
    assert matching([b'W/"abc", "abc"'], [ETAG], ETAG, weak=False) == ETAG
