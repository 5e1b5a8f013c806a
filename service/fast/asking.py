"""What a request asks that may be a plain hit."""

from typing import NamedTuple

from coherence.query import Query

ASKING = "anomaly_cache.asking"
"""Where in an ASGI scope stands what the server has read that the request asks."""


class Form(NamedTuple):
    """What a response depends on beside the answer: route, method, Accept-Encoding, values of If-None-Match."""

    template: str
    method: str
    encoding: bytes | None
    known: tuple[bytes, ...]


class Asking(NamedTuple):
    """An analyst's valid request: its query, the generation that the client knows of, and the response's form.

    It says nothing of any moment: whether it is a hit is decided each time that it comes.
    """

    query: Query
    at_least: int
    form: Form
