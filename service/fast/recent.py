"""Responses that were made a moment ago, to be sent again as they are."""

from collections.abc import Sequence

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from service.fast.asking import Form
from service.responses import Header, as_lines
from service.tally import Tally

MOST_RECENT = 8
LONGEST_FORM = 256
"""Bytes of request headers by which a response is found."""


class Ready:
    """A response, and what counts it."""

    __slots__ = ("_defaults", "_head", "body", "headers", "status", "tally")

    def __init__(self, status: int, headers: Sequence[Header], body: bytes, tally: Tally) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        self.tally = tally
        self._defaults: Sequence[Header] | None = None
        self._head = b""

    def head(self, defaults: Sequence[Header]) -> bytes:
        """Return its head as HTTP/1.1 writes it, with the server's own `defaults`: another object when they change."""
        if defaults is not self._defaults:
            self._head = b"%s%s%s\r\n" % (STATUS_LINE[self.status], as_lines(defaults), as_lines(self.headers))
            self._defaults = defaults
        return self._head


class Recent:
    """The responses made of one answer while it was `age` old and could be served for `ttl`, in whole seconds."""

    __slots__ = ("_age", "_left", "_responses", "_ttl", "_until", "get")

    def __init__(self, age: int, ttl: int) -> None:
        self._age, self._until = age, age + 1
        self._ttl, self._left = ttl, ttl - 1
        self._responses: dict[Form, Ready] = {}
        self.get = self._responses.get
        """Return the response of a form; None where there is none."""

    def fits(self, age: float, left: float) -> bool:
        """Tell whether they say what is right of an answer that is `age` old and has `left` seconds to go."""
        return self._age <= age < self._until and self._left < left <= self._ttl

    def put(self, form: Form, ready: Ready) -> None:
        """Keep a response, if it is of the few small ones."""
        size = len(form.encoding or b"") + sum(map(len, form.known))
        if len(self._responses) < MOST_RECENT and size <= LONGEST_FORM:
            self._responses[form] = ready
