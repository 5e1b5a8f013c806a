"""The link to the next page: how a page's body ends with it, and how a header says it (RFC 8288). Sans-IO."""

import json
import re
from typing import Any

from service.responses import Header

_NEXT = b',"next":'
_VALUE = re.compile(rb'"(/[A-Za-z0-9_.~%/?&=+-]*)"\}')
"""Of a link, which is percent-encoded; nothing else can get into a header."""


def page_end(count: int, limit: Any, offset: Any, following: str | None) -> bytes:
    """Return the end of a page's body, behind its rows; `following` is the path of the page behind it."""
    return b'],"count":%d,"limit":%d,"offset":%d%s%s}' % (count, limit, offset, _NEXT, json.dumps(following).encode())


def link_headers(body: bytes) -> tuple[Header, ...]:
    """Return the header field that links to the next page; none where a body ends with no such link."""
    start = body.rfind(_NEXT)
    link = None if start < 0 else _VALUE.fullmatch(body, start + len(_NEXT))
    return () if link is None else ((b"link", b'<%s>; rel="next"' % link[1]),)
