"""Content codings."""

import tracemalloc
import zlib

import brotli
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coherence.coding import CODINGS, MOST_BYTES, ZSTD, MalformedCoding, unzstd


@given(st.binary(max_size=2000))
def test_what_is_compressed_comes_back(body: bytes) -> None:
    """By any decoder of the coding; equal bodies give equal bytes."""
    assert zlib.decompress(CODINGS["gzip"](body), 31) == body
    assert brotli.decompress(CODINGS["br"](body)) == body
    assert unzstd(CODINGS[ZSTD](body), len(body)) == body
    for compress in CODINGS.values():
        assert compress(body) == compress(bytes(bytearray(body)))


def test_a_small_text_that_says_much_takes_no_memory() -> None:
    """A frame that holds more than was told of is given up as soon as that shows."""
    bomb = CODINGS[ZSTD](bytes(64 * 2**20))
    assert len(bomb) < 10_000
    tracemalloc.start()
    try:
        for length in (100, 64 * 2**20):
            with pytest.raises(MalformedCoding):
                unzstd(bomb, length)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()
    assert len(unzstd(CODINGS[ZSTD](bytes(MOST_BYTES)), MOST_BYTES)) == MOST_BYTES
