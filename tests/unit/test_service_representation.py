"""How the response of a hit is composed."""

import pytest

from coherence.coding import LEAST_BYTES
from coherence.entry import Entry, etag_of
from coherence.l1 import Kept
from coherence.query import Query
from service.negotiation import ANYTHING, Accepted
from service.representation import Forms, Response, hit_headers, with_coding

BODY = b'{"a": 1}'.ljust(LEAST_BYTES)
ETAG = etag_of(BODY)
GZIP = Accepted(("gzip",))
VARYING = hit_headers("l1", 3.9, 12.1)


def forms() -> Forms:
    """The plain form, and one that is said to be gzip."""
    return Forms(BODY, ETAG, {"gzip": b"zip", "br": b""})


def respond(known: list[bytes], accepted: Accepted = ANYTHING, *, head: bool = False) -> Response:
    """Answer a client that sends these If-None-Match headers."""
    found = forms()
    chosen = found.best(accepted)
    assert chosen is not None
    return found.respond(chosen, head=head, known=known, accepted=accepted, varying=VARYING)


def test_a_hit_has_every_field_that_tells_of_it() -> None:
    """Type, length, validator, what may be kept, what it depends on, its age, and where it came from."""
    response = respond([])
    assert (response.status, response.body) == (200, BODY)
    assert response.headers == [
        (b"content-type", b"application/json"),
        (b"content-length", b"1024"),
        (b"etag", ETAG.encode()),
        (b"cache-control", b"private, no-cache"),
        (b"vary", b"Accept-Encoding, X-API-Key"),
        (b"age", b"3"),
        (b"cache-status", b"anomaly-cache; hit; ttl=13; detail=l1"),
    ]


def test_a_coded_form_says_so() -> None:
    """Its coding, its own length, and a tag of its own."""
    response = respond([], GZIP)
    fields = dict(response.headers)
    assert response.body == b"zip"
    assert fields[b"content-encoding"] == b"gzip"
    assert fields[b"content-length"] == b"3"
    assert fields[b"etag"] == ETAG.encode()[:-1] + b'-gzip"'
    assert {**fields, b"content-encoding": b""} == {**dict(respond([]).headers), **fields, b"content-encoding": b""}


def test_a_head_lacks_the_body_alone() -> None:
    """The length is that of the body that a GET would get."""
    assert respond([], head=True) == respond([])._replace(body=b"")


@pytest.mark.parametrize("head", [False, True])
def test_a_304_has_the_fields_of_the_200_but_those_of_the_body(head: bool) -> None:
    """RFC 9110, section 15.4.5."""
    response = respond([ETAG.encode()], head=head)
    assert (response.status, response.body) == (304, b"")
    left_out = {b"content-type", b"content-length"}
    assert response.headers == [field for field in respond([]).headers if field[0] not in left_out]


def test_a_client_that_has_any_form_which_it_accepts_keeps_it() -> None:
    """It got the plain one while the coded one was made, or the coded one from another process."""
    plain, coded = ETAG.encode(), with_coding(ETAG.encode(), "gzip")
    for known, accepted, etag in (
        (plain, ANYTHING, plain),
        (plain, GZIP, plain),
        (coded, GZIP, coded),
        (b"W/" + coded, GZIP, coded),
        (b"*", ANYTHING, plain),
        (b"*", GZIP, coded),
    ):
        response = respond([known], accepted)
        assert (response.status, dict(response.headers)[b"etag"]) == (304, etag)


def test_a_form_that_it_does_not_accept_is_none_that_it_has() -> None:
    """A cache on the way may have kept it for others."""
    plain, coded = ETAG.encode(), with_coding(ETAG.encode(), "gzip")
    assert respond([coded]).status == 200
    assert respond([plain], Accepted(("gzip",), identity=False)).status == 200


def test_nothing_is_chosen_while_it_has_yet_to_be_made() -> None:
    """Nor where there is nothing that a client accepts."""
    wanted = Accepted(("zstd", "br", "gzip"))
    assert forms().best(wanted) is None
    assert forms().best(Accepted((), identity=False)) is None


def test_meanwhile_the_best_of_what_there_is_will_do() -> None:
    """Another coding, plain bytes, or nothing."""
    for codings, body in ((("zstd", "br", "gzip"), b"zip"), (("zstd",), BODY)):
        meanwhile = forms().meanwhile(Accepted(codings))
        assert meanwhile is not None
        assert meanwhile.body == body
    assert forms().meanwhile(Accepted(("zstd",), identity=False)) is None


def test_what_does_not_shrink_is_sent_plain() -> None:
    """Whoever takes no plain bytes has it coded all the same, but not from here."""
    best = forms().best(Accepted(("br", "gzip")))
    assert best is not None
    assert best.body is BODY
    assert forms().best(Accepted(("br",), identity=False)) is None


def test_a_small_answer_is_not_compressed() -> None:
    """Nobody has to try."""
    small = Forms(BODY[:-1], ETAG)
    assert small.best(GZIP) is small.plain


def test_a_form_is_prepared_once() -> None:
    """The same object for every request."""
    found = forms()
    assert found.best(GZIP) is found.best(Accepted(("gzip", "br")))


def test_forms_are_made_once_an_entry() -> None:
    """And go with it."""
    kept = Kept(Entry(Query("anomalies"), 1, 0.0, 60.0, ETAG, BODY), 60.0, 1, 60.0)
    assert Forms.of(kept) is Forms.of(kept)
    assert Forms.of(kept).plain.body is BODY
