r"""An answer as it is kept: its stamp, its times, its parameters, and the exact bytes. Sans-IO.

On the wire: a line of ASCII, then the body, plain or compressed.

    AC3 <stamp> <stored at, ms> <TTL, ms> <checksum> <coding> <length> <ETag> <page> <parameters>\n<body>

The stamp stands at the front, so that a sweep can read it without the body. The length is the plain body's. The page
and the parameters are JSON.
"""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Self

from coherence.changes import parse_generation
from coherence.coding import ZSTD, MalformedCoding, unzstd
from coherence.query import Query
from coherence.rows import Page

VERSION = b"AC3"
PLAIN = b"identity"
HEADER_MAX_LENGTH = 16_384
MOST_DIGITS = 15
HASH_LENGTH = 32
"""Hex digits of SHA-256 that are kept. Processors compute it themselves, so that it takes half of what BLAKE2 does."""
STAMP_REACH = len(VERSION) + 1 + 16 + 1
"""Bytes from the front within which the stamp stands, with the blank that ends it."""


class MalformedEntry(ValueError):  # noqa: N818 - it names what was found, not a fault of ours
    """Bytes that are not an entry of ours, are damaged, or answer another query. The message says which."""


def etag_of(body: bytes) -> str:
    """Return the strong entity tag of a body: a quoted hash of its bytes, the same in every process."""
    return f'"{hashlib.sha256(body, usedforsecurity=False).hexdigest()[:HASH_LENGTH]}"'


@dataclass(frozen=True, slots=True)
class Entry:
    """An answer, the generation that it was loaded under, and its times in seconds (`stored_at` by Redis' clock).

    `coded` has the body in other codings, as far as they have been made.
    """

    query: Query
    stamp: int
    stored_at: float
    ttl: float
    etag: str
    body: bytes
    page: Page | None = None
    coded: dict[str, bytes] = field(default_factory=dict, compare=False)

    def remaining(self, redis_time: float) -> float:
        """Return how many seconds of its TTL are left, never more than the TTL itself."""
        return min(self.ttl, self.stored_at + self.ttl - redis_time)

    def as_wire(self) -> bytes:
        """Return the bytes to keep in Redis."""
        times = b"%d %d %d" % (self.stamp, round(self.stored_at * 1000), round(self.ttl * 1000))
        compressed = self.coded.get(ZSTD)
        stored = compressed or self.body
        form = b"%s %d" % (ZSTD.encode() if compressed else PLAIN, len(self.body))
        facts = b"%s %s %s %s" % (form, self.etag.encode(), _page_as_wire(self.page), self.query.text.encode())
        checksum = _checksum(self.query.namespace, times, facts, stored)
        return b"%s %s %s %s\n%s" % (VERSION, times, checksum, facts, stored)

    @classmethod
    def from_wire(cls, query: Query, wire: bytes) -> Self:
        """Read back what `as_wire` wrote for the same query. Raises MalformedEntry."""
        end = wire.find(b"\n", 0, HEADER_MAX_LENGTH)
        fields = wire[: max(end, 0)].split(b" ", 9)
        if len(fields) != 10 or fields[0] != VERSION:  # noqa: PLR2004 - the fields of the format above
            raise MalformedEntry("not an entry of this format")
        _, stamp, stored_at, ttl, checksum, coding, length, etag, page, text = fields
        stored = wire[end + 1 :]
        if checksum != _checksum(query.namespace, b" ".join(fields[1:4]), b" ".join(fields[5:]), stored):
            raise MalformedEntry("checksum")
        if text != query.text.encode():
            raise MalformedEntry("other parameters")
        generation = parse_generation(stamp)
        if generation is None or not etag.isascii():
            raise MalformedEntry("not an entry of this format")
        body = stored if coding == PLAIN else _uncompressed(stored, coding, _number(length))
        coded = {} if coding == PLAIN else {ZSTD: stored}
        times = _number(stored_at) / 1000, _number(ttl) / 1000
        return cls(query, generation, *times, etag.decode(), body, _page(page), coded)


def _number(text: bytes) -> int:
    if not text.isdigit() or len(text) > MOST_DIGITS:
        raise MalformedEntry("not an entry of this format")
    return int(text)


def _uncompressed(stored: bytes, coding: bytes, length: int) -> bytes:
    if coding != ZSTD.encode():
        raise MalformedEntry("not an entry of this format")
    try:
        return unzstd(stored, length)
    except MalformedCoding as error:
        raise MalformedEntry(str(error)) from None


def stamp_of(front: bytes) -> int | None:
    """Return the stamp of the entry whose first STAMP_REACH bytes are given, None where it is not one of ours."""
    fields = front.split(b" ", 2)
    return parse_generation(fields[1]) if len(fields) > 2 and fields[0] == VERSION else None  # noqa: PLR2004


def text_of(front: bytes) -> str | None:
    """Return the parameters, as a query's text, of the entry that begins like this, None where it is not one of ours.

    Its first HEADER_MAX_LENGTH bytes are enough.
    """
    header, end, _ = front.partition(b"\n")
    fields = header.split(b" ", 9)
    return fields[9].decode(errors="replace") if end and len(fields) > 9 and fields[0] == VERSION else None  # noqa: PLR2004


def _page_as_wire(page: Page | None) -> bytes:
    # A blank in compact JSON stands within a string, where it may be written like this.
    return json.dumps(page and page.as_wire(), separators=(",", ":")).replace(" ", "\\u0020").encode()


def _page(wire: bytes) -> Page | None:
    try:
        return Page.from_wire(json.loads(wire.decode()))
    except (ValueError, RecursionError):
        return None


def _checksum(namespace: str, times: bytes, facts: bytes, stored: bytes) -> bytes:
    # The namespace is in the key alone. An entry that was copied to another's key must not pass for its answer.
    front = b"%d %s %s %s\n" % (len(namespace), namespace.encode(), times, facts)
    digest = hashlib.sha256(front, usedforsecurity=False)
    digest.update(stored)
    return digest.hexdigest()[:HASH_LENGTH].encode()
