"""Conditional requests: whether an If-None-Match already names what would be sent."""

import re
from collections.abc import Sequence

_TAG = re.compile(rb'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')


def none_match(values: Sequence[bytes], etag: bytes) -> bool:
    """Tell whether a response with `etag` (strong, quoted) must be sent in full.

    `values` are those of all If-None-Match headers. The comparison is weak, as RFC 9110 section 13.1.2 asks for;
    what is not a list of entity tags matches nothing.
    """
    for value in values:
        if value == etag or value.strip() == b"*":
            return False
        rest = value
        while rest := rest.strip(b" \t,"):
            tag = _TAG.match(rest)
            if tag is None:
                break
            if tag.group(1) == etag:
                return False
            rest = rest[tag.end() :]
    return True
