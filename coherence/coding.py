"""Content codings: how bodies are compressed, and the way back for those that Redis holds."""

import sys
import zlib
from collections.abc import Callable, Mapping

import brotli

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ZSTD = "zstd"
LEAST_BYTES = 1024
"""Below this, what is saved is less than what a packet has room for."""

REDIS_LEAST_BYTES = 4096
"""Below this, the memory and the way to Redis that are saved do not pay for handing a body to a thread."""

MOST_BYTES = 16 * 2**20
"""Larger bodies are not compressed for Redis: it is the most that is made of what Redis says is compressed."""

WORTHWHILE = 0.9
"""Most that a coded body may have of the plain one's bytes to be kept."""

_GZIP = 31
"""zlib's way to ask for gzip's header and trailer; the header has no time, so that equal bodies give equal bytes."""


class MalformedCoding(ValueError):  # noqa: N818 - it names what was found
    """Bytes that are not what they should be in compressed form."""


def _gzip(body: bytes) -> bytes:
    return zlib.compress(body, 6, _GZIP)


def _zstd(body: bytes) -> bytes:
    return zstd.compress(body, 1)


def _brotli(body: bytes) -> bytes:
    return bytes(brotli.compress(body, quality=5))


CODINGS: Mapping[str, Callable[[bytes], bytes]] = {ZSTD: _zstd, "br": _brotli, "gzip": _gzip}
"""By their names in HTTP. The same body gives the same bytes in every process that has the same libraries."""


def unzstd(coded: bytes, length: int) -> bytes:
    """Return the `length` bytes that were compressed to `coded`; take memory for no more. Raises MalformedCoding."""
    if length > MOST_BYTES:
        raise MalformedCoding("too large")
    frame = zstd.ZstdDecompressor()
    try:
        # Room for one byte more lets the end of the frame be seen.
        body = frame.decompress(coded, max_length=length + 1)
    except zstd.ZstdError:
        raise MalformedCoding("not zstd") from None
    if len(body) != length or not frame.eof or frame.unused_data:
        raise MalformedCoding("another length")
    return body
