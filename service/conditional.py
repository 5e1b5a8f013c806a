"""Conditional requests: whether an If-None-Match already names what could be sent."""

import re
from collections.abc import Sequence

_TAG = re.compile(rb'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')


def matching(values: Sequence[bytes], etags: Sequence[bytes], current: bytes) -> bytes | None:
    """Return the first of the strong `etags` that If-None-Match names, None where the response must be sent in full.

    `values` are those of all If-None-Match headers; `*` stands for `current`. The comparison is weak, as RFC 9110
    section 13.1.2 asks for; what is not a list of entity tags matches nothing.
    """
    for value in values:
        if value in etags:
            return value
        if value.strip() == b"*":
            return current
        rest = value
        while rest := rest.strip(b" \t,"):
            tag = _TAG.match(rest)
            if tag is None:
                break
            if tag[1] in etags:
                return tag[1]
            rest = rest[tag.end() :]
    return None
