"""Responses that were made a moment ago, to be sent again as they are."""

from collections.abc import Sequence
from typing import NamedTuple

from service.responses import Header
from service.tally import Tally

MOST_RECENT = 8
LONGEST_ASKED = 256
"""Bytes of request headers by which a response is found."""

Asked = tuple[str, str, bytes | None, tuple[bytes, ...]]
"""What a response depends on beside the answer: route, method, Accept-Encoding, values of If-None-Match."""


class Ready(NamedTuple):
    """A response: `lines` are its header fields as HTTP/1.1 writes them, with the blank line that ends them."""

    status: int
    headers: Sequence[Header]
    lines: bytes
    body: bytes
    tally: Tally


class Recent:
    """The responses made of one answer while it was `age` old and could be served for `ttl`, in whole seconds."""

    __slots__ = ("_responses", "age", "get", "ttl")

    def __init__(self, age: int, ttl: int) -> None:
        self.age = age
        self.ttl = ttl
        self._responses: dict[Asked, Ready] = {}
        self.get = self._responses.get
        """Return the response to what was asked; None where there is none."""

    def put(self, asked: Asked, ready: Ready) -> None:
        """Keep a response, if it is of the few small ones."""
        _, _, encoding, known = asked
        if len(self._responses) < MOST_RECENT and len(encoding or b"") + sum(map(len, known)) <= LONGEST_ASKED:
            self._responses[asked] = ready
