"""Accept-Encoding."""

import pytest

from service.negotiation import Accepted, Negotiation

NEGOTIATION = Negotiation(("zstd", "br", "gzip"))


@pytest.mark.parametrize(
    ("header", "codings"),
    [
        (None, ()),
        (b"", ()),
        (b"identity", ()),
        (b"deflate", ()),
        (b"gzip", ("gzip",)),
        (b"GZip", ("gzip",)),
        (b"x-gzip", ("gzip",)),
        (b"gzip, deflate, br, zstd", ("zstd", "br", "gzip")),
        (b"gzip;q=1.0, br;q=0.8, *;q=0.1", ("gzip", "br", "zstd")),
        (b"gzip ; Q=0.5 ,\tbr", ("br", "gzip")),
        (b"*", ("zstd", "br", "gzip")),
        (b"*;q=0.5, zstd;q=0", ("br", "gzip")),
        (b"gzip, identity", ("gzip",)),
        (b"gzip;q=0.5, identity;q=0.8", ()),
        (b"gzip;q=0.5, identity;q=0.5", ("gzip",)),
        (b"gzip;q=0", ()),
        (b"gzip;q=0.000", ()),
        (b"gzip;q=2", ()),
        (b"gzip;q=0.1234", ()),
        (b"gzip;level=9", ()),
        (b"garbage garbage, gzip", ("gzip",)),
        (b",, gzip,", ("gzip",)),
    ],
)
def test_the_codings_a_client_takes(header: bytes | None, codings: tuple[str, ...]) -> None:
    """By weight, then as the server prefers; plain bytes are fine."""
    assert NEGOTIATION.accepted(header) == Accepted(codings)


@pytest.mark.parametrize(
    ("header", "codings"),
    [
        (b"identity;q=0", ()),
        (b"*;q=0", ()),
        (b"gzip, identity;q=0", ("gzip",)),
        (b"gzip;q=0.2, *;q=0", ("gzip",)),
        (b"br, *;q=0", ("br",)),
        (b"identity;q=0, *;q=0.3", ("zstd", "br", "gzip")),
    ],
)
def test_plain_bytes_may_be_refused(header: bytes, codings: tuple[str, ...]) -> None:
    """By name, or with all others that are not named."""
    assert NEGOTIATION.accepted(header) == Accepted(codings, identity=False)


def test_plain_bytes_may_be_wanted_in_spite_of_the_rest() -> None:
    """A weight of their own goes before that of `*`."""
    assert NEGOTIATION.accepted(b"*;q=0, identity;q=0.1") == Accepted()
