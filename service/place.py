"""Places in a list, and cursors: the text in which clients carry them from one page to the next. Sans-IO."""

import binascii
import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Self

CHECK_BYTES = 8

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,5}[1-9])?\+00:00", re.ASCII)
"""As Postgres writes it in JSON: the one form of an instant, for places are compared as text."""


class InvalidCursor(ValueError):  # noqa: N818 - it names what was given
    """The text is no cursor of the list."""


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a row: its sort value, a time as Postgres writes it in JSON in UTC (None: NULL), and its key."""

    value: str | None
    key: str

    def as_cursor(self, path: str) -> str:
        """Return the cursor of this place in the list at `path`."""
        text = json.dumps([self.value, self.key], separators=(",", ":")).encode()
        return urlsafe_b64encode(_check(path, text) + text).rstrip(b"=").decode()

    @classmethod
    def from_cursor(cls, cursor: str, path: str) -> Self:
        """Read a cursor of the list at `path` back. Raises InvalidCursor for any text that `as_cursor` does not write.

        The check keeps mistakes out. Who makes a cursor of his own gets no more by it than a page from there.
        """
        try:
            wire = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
            value, key = json.loads(wire[CHECK_BYTES:])
        except (binascii.Error, ValueError, TypeError, RecursionError):
            raise InvalidCursor(cursor) from None
        if not _is_text(key) or not (value is None or _is_time(value)):
            raise InvalidCursor(cursor)
        place = cls(value, key)
        if place.as_cursor(path) != cursor:
            raise InvalidCursor(cursor)
        return place


def _check(path: str, text: bytes) -> bytes:
    return blake2b(path.encode() + b"\n" + text, digest_size=CHECK_BYTES).digest()


def _is_text(key: object) -> bool:
    # Postgres takes neither NUL nor half a surrogate pair.
    return isinstance(key, str) and "\0" not in key and not any("\ud800" <= char <= "\udfff" for char in key)


def _is_time(value: object) -> bool:
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True
