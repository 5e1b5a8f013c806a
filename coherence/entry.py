r"""An answer as it is kept: its stamp, its times, its parameters, and the exact bytes. Sans-IO.

On the wire: a line of ASCII, then the body.

    AC1 <stamp> <stored at, ms> <TTL, ms> <checksum> <ETag> <page as JSON> <parameters as JSON>\n<body>

The stamp stands at the front, so that a sweep can read it without the body.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Self

from coherence.changes import parse_generation
from coherence.query import Query
from coherence.rows import Page

VERSION = b"AC1"
HEADER_MAX_LENGTH = 16_384
STAMP_REACH = len(VERSION) + 1 + 16 + 1
"""Bytes from the front within which the stamp stands, with the blank that ends it."""


class MalformedEntry(ValueError):  # noqa: N818 - it names what was found, not a fault of ours
    """Bytes that are not an entry of ours, are damaged, or answer another query. The message says which."""


def etag_of(body: bytes) -> str:
    """Return the strong entity tag of a body: a quoted hash of its bytes, the same in every process."""
    return f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'


@dataclass(frozen=True, slots=True)
class Entry:
    """An answer, the generation that it was loaded under, and its times in seconds (`stored_at` by Redis' clock)."""

    query: Query
    stamp: int
    stored_at: float
    ttl: float
    etag: str
    body: bytes
    page: Page | None = None

    def remaining(self, redis_time: float) -> float:
        """Return how many seconds of its TTL are left, never more than the TTL itself."""
        return min(self.ttl, self.stored_at + self.ttl - redis_time)

    def as_wire(self) -> bytes:
        """Return the bytes to keep in Redis."""
        times = b"%d %d %d" % (self.stamp, round(self.stored_at * 1000), round(self.ttl * 1000))
        text = self.query.text.encode()
        etag = self.etag.encode()
        page = _page_as_wire(self.page)
        checksum = _checksum(self.query.namespace, times, etag, page, text, body=self.body)
        return b"%s %s %s %s %s %s\n%s" % (VERSION, times, checksum, etag, page, text, self.body)

    @classmethod
    def from_wire(cls, query: Query, wire: bytes) -> Self:
        """Read back what `as_wire` wrote for the same query. Raises MalformedEntry."""
        end = wire.find(b"\n", 0, HEADER_MAX_LENGTH)
        fields = wire[: max(end, 0)].split(b" ", 7)
        if len(fields) != 8 or fields[0] != VERSION:  # noqa: PLR2004 - the eight fields of the format above
            raise MalformedEntry("not an entry of this format")
        _, stamp, stored_at, ttl, checksum, etag, page, text = fields
        body = wire[end + 1 :]
        times = b"%s %s %s" % (stamp, stored_at, ttl)
        if checksum != _checksum(query.namespace, times, etag, page, text, body=body):
            raise MalformedEntry("checksum")
        if text != query.text.encode():
            raise MalformedEntry("other parameters")
        generation = parse_generation(stamp)
        if generation is None or not stored_at.isdigit() or not ttl.isdigit() or not etag.isascii():
            raise MalformedEntry("not an entry of this format")
        return cls(query, generation, int(stored_at) / 1000, int(ttl) / 1000, etag.decode(), body, _page(page))


def stamp_of(front: bytes) -> int | None:
    """Return the stamp of the entry whose first STAMP_REACH bytes are given, None where it is not one of ours."""
    fields = front.split(b" ", 2)
    return parse_generation(fields[1]) if len(fields) > 2 and fields[0] == VERSION else None  # noqa: PLR2004


def _page_as_wire(page: Page | None) -> bytes:
    # A blank in compact JSON stands within a string, where it may be written like this.
    return json.dumps(page and page.as_wire(), separators=(",", ":")).replace(" ", "\\u0020").encode()


def _page(wire: bytes) -> Page | None:
    try:
        return Page.from_wire(json.loads(wire))
    except (ValueError, RecursionError):
        return None


def _checksum(namespace: str, times: bytes, *parts: bytes, body: bytes) -> bytes:
    # The namespace is in the key alone. An entry that was copied to another's key must not pass for its answer.
    digest = hashlib.blake2b(times, digest_size=16)
    for part in (namespace.encode(), *parts):
        digest.update(b" %d " % len(part))
        digest.update(part)
    digest.update(body)
    return digest.hexdigest().encode()
