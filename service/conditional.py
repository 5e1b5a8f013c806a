"""Conditional requests: whether an If-None-Match or an If-Match names what there is."""

import re
from collections.abc import Sequence

_TAG = re.compile(rb'(W/)?("[\x21\x23-\x7e\x80-\xff]*")')


def matching(values: Sequence[bytes], etags: Sequence[bytes], current: bytes, *, weak: bool = True) -> bytes | None:
    """Return the first of the strong `etags` that a list of entity tags names, None where it names none of them.

    `values` are those of all headers of one name; `*` stands for `current`. If-None-Match is compared weakly, If-Match
    not: there a weak tag matches nothing (RFC 9110, section 13.1). What is not a list of entity tags matches nothing.
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
            if tag[2] in etags and (weak or not tag[1]):
                return tag[2]
            rest = rest[tag.end() :]
    return None
