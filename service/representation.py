"""What is sent of an answer: its bytes in one content coding, with their ETag and header fields. Sans-IO.

The one place that composes the response to a GET or HEAD of a cached route, whichever path answers it. A hit:

    forms = Forms.of(kept)                      # made once per fill, kept with the entry in L1
    chosen = forms.best(accepted(accept_encoding))
    response = forms.respond(chosen, head=…, known=if_none_match_values, accepted=…, varying=hit_headers(…))

`chosen` is None while the coding that the client wants most has yet to be made: then the long way answers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple, Self

from coherence.answer import Answer
from coherence.coding import LEAST_BYTES
from coherence.l1 import Kept
from service.cache_status import forward_status, hit_status, unproven_status
from service.conditional import matching
from service.links import link_headers
from service.negotiation import IDENTITY, Accepted
from service.responses import JSON, Header

PRIVATE: Header = (b"cache-control", b"private, no-cache")
NONE: Mapping[str, bytes] = MappingProxyType({})
VARY: Header = (b"vary", b"Accept-Encoding, X-API-Key")


@dataclass(frozen=True, slots=True)
class Representation:
    """Bytes to send, and the header fields that are the same in each response that sends them."""

    body: bytes
    etag: bytes
    headers: tuple[Header, ...]

    @classmethod
    def of(cls, body: bytes, etag: bytes, coding: str, *, content_type: Header, shared: tuple[Header, ...]) -> Self:
        """Prepare `body`, which is in `coding`. `etag` is of this representation, `shared` is in a 304, too."""
        coded = () if coding == IDENTITY else ((b"content-encoding", coding.encode()),)
        length = (b"content-length", b"%d" % len(body))
        headers = (content_type, *coded, length, (b"etag", etag), *shared)
        return cls(body, etag, headers)


class Response(NamedTuple):
    """What to send, the header fields in their order."""

    status: int
    headers: list[Header]
    body: bytes


class Forms:
    """The representations of one answer: the plain one, and the coded ones that have been made of it.

    `etag` is the plain one's; another's is the same with the coding's name in it: `"<hash>-gzip"`. `coded` has bodies
    by coding, empty where a coding does not make it enough smaller; others may be added to it as they are made.
    `keep` is the Cache-Control.
    """

    def __init__(
        self,
        body: bytes,
        etag: str,
        coded: Mapping[str, bytes] = NONE,
        *,
        content_type: Header = JSON,
        keep: Header = PRIVATE,
        vary: Header = VARY,
    ) -> None:
        self.etag = etag.encode()
        self._content_type = content_type
        self._shared = (keep, vary, *link_headers(body))
        self._coded = coded
        self.plain = self.coded(IDENTITY, body)
        self._made: dict[str, Representation] = {}
        self.recent: Any = None
        """Responses made of them a moment ago, for whoever answers the next request."""

    @classmethod
    def of(cls, kept: Kept) -> "Forms":
        """Return those of an entry in L1: always the same object while the entry is kept."""
        forms = kept.prepared
        if forms is None:
            entry = kept.entry
            forms = kept.prepared = cls(entry.body, entry.etag, entry.coded)
        return forms  # type: ignore[no-any-return] # what is prepared is the cache's user's affair, and that is here

    def best(self, accepted: Accepted) -> Representation | None:
        """Return what a client that accepts `accepted` gets; None where that is still to be made, or there is none."""
        if accepted.codings:
            coding = accepted.codings[0]
            return self._made.get(coding) or self._prepare(coding, accepted)
        return self.plain if accepted.identity else None

    def meanwhile(self, accepted: Accepted) -> Representation | None:
        """Return the best of what there is for such a client while `best` is made; None where it takes none of it."""
        made = (self._prepare(coding, accepted) for coding in accepted.codings if self._coded.get(coding))
        return next(made, self.plain if accepted.identity else None)

    def coded(self, coding: str, body: bytes) -> Representation:
        """Prepare `body`, which is this answer's in `coding`."""
        etag = with_coding(self.etag, coding)
        return Representation.of(body, etag, coding, content_type=self._content_type, shared=self._shared)

    def _prepare(self, coding: str, accepted: Accepted) -> Representation | None:
        body = self._coded.get(coding)
        if body:
            self._made[coding] = self.coded(coding, body)
            return self._made[coding]
        settled = body is not None or len(self.plain.body) < LEAST_BYTES
        return self.plain if settled and accepted.identity else None

    def respond(
        self,
        chosen: Representation,
        *,
        head: bool,
        known: Sequence[bytes],
        accepted: Accepted,
        varying: tuple[Header, ...],
    ) -> Response:
        """Return the response with `chosen`; a 304 where the client has this answer in any form that it accepts.

        `known` are the values of If-None-Match headers. Which form is sent is ours to choose, and a form that the
        client has need not be sent: so its tag is looked for among those of all forms that it accepts.
        """
        if known:
            etag = matching(known, self._etags(accepted), chosen.etag)
            if etag is not None:
                return Response(304, [(b"etag", etag), *self._shared, *varying], b"")
        return Response(200, [*chosen.headers, *varying], b"" if head else chosen.body)

    def match(self, wanted: Sequence[bytes], accepted: Accepted) -> bool:
        """Tell whether If-Match headers with these values name this answer, in a form that the client accepts."""
        return matching(wanted, self._etags(accepted), self.etag, weak=False) is not None

    def _etags(self, accepted: Accepted) -> list[bytes]:
        coded = [with_coding(self.etag, coding) for coding in accepted.codings]
        return [self.etag, *coded] if accepted.identity else coded


def with_coding(etag: bytes, coding: str) -> bytes:
    """Return the entity tag of a form of what has the tag `etag` in plain form."""
    return etag if coding == IDENTITY else b'%s-%s"' % (etag[:-1], coding.encode())


def hit_headers(layer: str, age: float, ttl: float) -> tuple[Header, ...]:
    """Return the header fields of a hit in `layer` ("l1", "l2"), `age` seconds after its load, `ttl` before its end."""
    return age_header(age), (b"cache-status", hit_status(layer, ttl))


def age_header(age: float) -> Header:
    """Return the header field that says how many seconds ago an answer was loaded."""
    return b"age", b"%d" % age


def varying_headers(answer: Answer) -> tuple[Header, ...]:
    """Return the header fields that tell how an answer came about."""
    if answer.forward is not None:
        return ((b"cache-status", forward_status(answer)),)
    if answer.unproven is not None:
        return age_header(answer.age), (b"cache-status", unproven_status(answer))
    return hit_headers(answer.layer, answer.age, answer.ttl)
