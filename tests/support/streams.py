"""What a client may send on a connection: requests good and bad, whole and in pieces."""

from dataclasses import dataclass

from hypothesis import strategies as st

from tests.support.api import ADMIN_KEY, ANALYST_KEY
from tests.support.hit_path import BODIES, etag_of_target

ETAGS = st.sampled_from(
    [b"*", b'"other"', b"W/", b"{etag}", b'"a", {etag}', b"W/{etag}", b"{gzip}", b'"a",{gzip}', b"{etag}, *", b'"' * 3]
)
"""Values of If-None-Match; {etag} and {gzip} stand for the tags of what is asked for."""

HEADERS = st.one_of(
    st.tuples(st.just(b"If-None-Match"), ETAGS),
    st.tuples(
        st.just(b"Accept-Encoding"),
        st.sampled_from(
            [
                b"gzip",
                b"gzip, deflate, br, zstd",
                b"br",
                b"identity",
                b"gzip;q=0",
                b"*;q=0",
                b"zstd;q=0.5, *",
                b"",
                b";",
            ]
        ),
    ),
    st.tuples(
        st.just(b"Cache-Control"),
        st.sampled_from([b"no-cache", b"max-age=0", b"max-age=100", b"only-if-cached", b"no-transform", b""]),
    ),
    st.tuples(st.just(b"Cache-Generation"), st.sampled_from([b"0", b"5", b" 10 ", b"9007199254740993", b"x", b"-1"])),
    st.tuples(
        st.just(b"Connection"),
        st.sampled_from([b"keep-alive", b"Keep-Alive", b"close", b"upgrade", b"keep-alive, close", b"te", b""]),
    ),
    st.tuples(st.just(b"Upgrade"), st.sampled_from([b"websocket", b"h2c"])),
    st.tuples(st.just(b"Expect"), st.sampled_from([b"100-continue", b"200-ok"])),
    st.tuples(st.just(b"Origin"), st.just(b"https://example.org")),
    st.tuples(st.just(b"X-API-Key"), st.sampled_from([ANALYST_KEY.encode(), b"", b"wrong-key-0123456789"])),
    st.tuples(
        st.sampled_from([b"Pragma", b"Range", b"X-Other", b"Accept", b"If-Match"]), st.sampled_from([b"a", b"*"])
    ),
)

KEYS = st.sampled_from([*[ANALYST_KEY.encode()] * 8, ADMIN_KEY.encode(), b"wrong-key-0123456789", None])
TARGETS = st.one_of(
    st.sampled_from([target.encode() for target in BODIES]),
    st.sampled_from([target.encode() for target in BODIES]),
    st.sampled_from(
        [
            *[b"http://x" + target.encode() for target in BODIES],
            *[target.encode() + b"#part" for target in BODIES],
            b"/api/v1/anomalies?",
            b"/api/v1/anomalies?limit=02",
            b"/api/v1/anomalies?limit=2&",
            b"/api/v1/anomalies?limit=0",
            b"/api/v1/%61nomalies?limit=2",
            b"/api/v1/anomalies/a/1",
            b"/api/v1/anomalies/",
            b"//api/v1/anomalies",
            b"/api/v1/nothing",
            b"/livez",
            b"*",
            b"",
        ]
    ),
)
METHODS = st.sampled_from([*[b"GET"] * 6, b"HEAD", b"HEAD", b"POST", b"PUT", b"OPTIONS", b"get", b"BREW"])
VERSIONS = st.sampled_from([*[b"HTTP/1.1"] * 9, b"HTTP/1.0", b"HTTP/2.0"])


PLAIN = 6
"""Of ten requests, at least so many are plain."""

PLAIN_REQUESTS = st.builds(
    b"%s %s HTTP/1.1\r\nHost: x\r\n%sX-API-Key: %s\r\n\r\n".__mod__,
    st.tuples(
        st.sampled_from([b"GET", b"GET", b"HEAD"]),
        st.sampled_from([target.encode() for target in BODIES]),
        st.sampled_from(
            [b"", b"", b"Accept-Encoding: gzip\r\n", b"Connection: keep-alive\r\n", b"If-None-Match: *\r\n"]
        ),
        st.just(ANALYST_KEY.encode()),
    ),
)


@dataclass(frozen=True, slots=True)
class Read:
    """The client reads this many bytes."""

    size: int


@dataclass(frozen=True, slots=True)
class Pass:
    """So many seconds pass."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Changed:
    """Everything in a namespace changes."""

    namespace: str


Step = bytes | Read | Pass | Changed


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """A request, most often one that a plain hit answers."""
    if draw(st.integers(0, 9)) < PLAIN:
        return draw(PLAIN_REQUESTS)
    target = draw(TARGETS)
    lines = [b" ".join((draw(METHODS), target, draw(VERSIONS)))]
    key = draw(KEYS)
    if key is not None:
        lines.append(draw(st.sampled_from([b"x-api-key: ", b"X-API-KEY:"])) + key)
    lines += [name + b": " + value for name, value in draw(st.lists(HEADERS, max_size=3))]
    body = draw(st.sampled_from([b""] * 8 + [b"hello", b"chunked", b"empty"]))
    if body == b"chunked":
        lines.append(b"Transfer-Encoding: chunked")
        body = b"5\r\nhello\r\n0\r\n\r\n"
    elif body:
        body = body.removeprefix(b"empty")
        lines.append(b"Content-Length: %d" % len(body))
    end = draw(st.sampled_from([b"\r\n"] * 12 + [b"\n", b"\r\n "]))
    head = end.join(lines) + end + b"\r\n"
    return _with_tags(head, target) + body


def _with_tags(head: bytes, target: bytes) -> bytes:
    etag = etag_of_target(target.decode())
    return head.replace(b"{etag}", etag).replace(b"{gzip}", etag[:-1] + b'-gzip"')


@st.composite
def conversations(draw: st.DrawFn) -> list[Step]:
    """Some requests in a row, perhaps damaged, in pieces, with other things between the pieces.

    Among these are whole requests that have come before, wherever the pieces may have left off.
    """
    usual = draw(st.lists(PLAIN_REQUESTS, max_size=2))
    others = st.one_of(OTHER_STEPS, st.sampled_from(usual)) if usual else OTHER_STEPS
    sent = b"".join(draw(st.lists(requests(), min_size=1, max_size=6)))
    if draw(st.integers(0, 3)) == 3:
        place = draw(st.integers(0, len(sent)))
        sent = sent[:place] + draw(st.binary(max_size=8)) + sent[place + draw(st.integers(0, 4)) :]
    if draw(st.integers(0, 7)) == 7:
        sent = sent[: draw(st.integers(0, len(sent)))]
    cuts = sorted(draw(st.lists(st.integers(0, len(sent)), max_size=draw(st.sampled_from([0, 1, 5])))))
    steps: list[Step] = [*usual, *usual]
    for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True):
        steps.append(sent[start:end])
        steps += draw(st.lists(others, max_size=2))
    return steps


OTHER_STEPS: st.SearchStrategy[Step] = st.one_of(
    st.builds(Read, st.sampled_from([1, 100, 60_000, 1_000_000])),
    st.builds(Read, st.sampled_from([100, 1_000_000])),
    st.builds(Pass, st.sampled_from([0.3, 1.0, 1.5, 61.0])),
    st.builds(Changed, st.sampled_from(["anomalies", "transactions"])),
)
