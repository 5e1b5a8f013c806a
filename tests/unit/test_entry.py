"""An answer as it is kept, on the wire and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coherence.changes import GENERATION_LIMIT
from coherence.coding import CODINGS, MOST_BYTES, ZSTD
from coherence.entry import STAMP_REACH, Entry, MalformedEntry, _checksum, etag_of, stamp_of
from coherence.query import Query

BODY = b'{"anomalies":[],"count":0}\n\x00\xff'
QUERY = Query("anomalies", {"limit": 100, "offset": 0, "status": "NEW"})
STAMP = 1_700_000_000_000_000
ENTRY = Entry(QUERY, STAMP, 1_700_000_000.125, 61.5, etag_of(BODY), BODY)


@given(
    body=st.binary(max_size=200),
    stamp=st.integers(1, GENERATION_LIMIT - 1),
    stored_at=st.integers(0, 10**13),
    ttl=st.integers(0, 10**9),
    status=st.text(max_size=20).filter(lambda text: text.isprintable() or "\n" in text),
)
def test_an_entry_survives_the_wire(body: bytes, stamp: int, stored_at: int, ttl: int, status: str) -> None:
    """What is written is read back, to the millisecond and to the byte."""
    query = Query("anomalies", {"status": status})
    entry = Entry(query, stamp, stored_at / 1000, ttl / 1000, etag_of(body), body)
    assert Entry.from_wire(query, entry.as_wire()) == entry
    assert stamp_of(entry.as_wire()[:STAMP_REACH]) == stamp


def test_the_body_is_kept_as_it_is_behind_one_line() -> None:
    """An operator can read the header, and what follows are the bytes that are sent."""
    header, _, body = ENTRY.as_wire().partition(b"\n")
    assert body == BODY
    version, stamp, stored_at, ttl, _, coding, length, etag, page, text = header.split(b" ", 9)
    assert (coding, length) == (b"identity", b"%d" % len(BODY))
    assert (version, stamp, stored_at, ttl) == (b"AC3", b"1700000000000000", b"1700000000125", b"61500")
    assert etag.decode() == etag_of(BODY)
    assert (page, text) == (b"null", b'{"limit":100,"offset":0,"status":"NEW"}')


def test_a_compressed_body_comes_back_with_its_plain_form() -> None:
    """The bytes in Redis are those that a client gets who takes them."""
    body = BODY * 100
    compressed = CODINGS[ZSTD](body)
    entry = Entry(QUERY, STAMP, 1.0, 1.0, etag_of(body), body, coded={ZSTD: compressed, "gzip": b"not for Redis"})
    wire = entry.as_wire()
    assert wire.partition(b"\n")[2] == compressed
    back = Entry.from_wire(QUERY, wire)
    assert back == entry
    assert back.coded == {ZSTD: compressed}
    plain = Entry(QUERY, STAMP, 1.0, 1.0, etag_of(body), body, coded={ZSTD: b""}).as_wire()
    assert plain.partition(b"\n")[2] == body


@pytest.mark.parametrize(
    ("coding", "length", "stored"),
    [
        (b"zstd", b"99", CODINGS[ZSTD](b"x" * 100)),
        (b"zstd", b"101", CODINGS[ZSTD](b"x" * 100)),
        (b"zstd", b"100", CODINGS[ZSTD](b"x" * 100)[:-1]),
        (b"zstd", b"100", CODINGS[ZSTD](b"x" * 100) + b"!"),
        (b"zstd", b"100", CODINGS[ZSTD](b"x" * 50) * 2),
        (b"zstd", b"100", b"x" * 100),
        (b"zstd", b"0", b""),
        (b"zstd", b"%d" % (MOST_BYTES + 1), CODINGS[ZSTD](b"x" * (MOST_BYTES + 1))),
        (b"zstd", b"-1", CODINGS[ZSTD](b"")),
        (b"zstd", b"9" * 5000, CODINGS[ZSTD](b"")),
        (b"gzip", b"100", CODINGS["gzip"](b"x" * 100)),
        (b"", b"100", b"x" * 100),
    ],
)
def test_what_is_said_of_a_body_is_checked(coding: bytes, length: bytes, stored: bytes) -> None:
    """Even with the right checksum: no more memory is taken than the length says, and that has a bound."""
    facts = b'%s %s "e" null %s' % (coding, length, QUERY.text.encode())
    wire = b"AC3 1 0 1000 %s %s\n%s" % (_checksum(QUERY.namespace, b"1 0 1000", facts, stored), facts, stored)
    with pytest.raises(MalformedEntry):
        Entry.from_wire(QUERY, wire)


@given(st.data())
def test_no_damaged_byte_goes_unnoticed(data: st.DataObject) -> None:
    """Any one byte that is another makes the entry malformed: header, checksum, body."""
    wire = bytearray(ENTRY.as_wire())
    place = data.draw(st.integers(0, len(wire) - 1))
    wire[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(MalformedEntry):
        Entry.from_wire(QUERY, bytes(wire))


def test_no_truncation_goes_unnoticed() -> None:
    """An entry cut off anywhere is malformed, and so is one with something behind it."""
    wire = ENTRY.as_wire()
    for length in range(len(wire)):
        with pytest.raises(MalformedEntry):
            Entry.from_wire(QUERY, wire[:length])
    with pytest.raises(MalformedEntry):
        Entry.from_wire(QUERY, wire + b"\x00")


@given(st.binary())
def test_whatever_lies_there_is_malformed(wire: bytes) -> None:
    """No bytes of others are taken for an entry, or make the parser fail in another way."""
    with pytest.raises(MalformedEntry):
        Entry.from_wire(QUERY, wire)
    with pytest.raises(MalformedEntry):
        Entry.from_wire(QUERY, b"AC3 1 2 3 " + wire)


def test_an_entry_of_other_parameters_is_refused() -> None:
    """Two queries whose digests agree do not get each other's answers."""
    with pytest.raises(MalformedEntry, match="other parameters"):
        Entry.from_wire(Query("anomalies", {"limit": 101}), ENTRY.as_wire())


def test_an_entry_of_another_namespace_is_refused() -> None:
    """The same parameters mean another answer there: an entry that was copied over is not believed."""
    with pytest.raises(MalformedEntry):
        Entry.from_wire(Query("transactions", QUERY.parameters), ENTRY.as_wire())


def test_an_entry_of_another_format_is_refused() -> None:
    """A version that is not ours is not guessed at."""
    with pytest.raises(MalformedEntry, match="format"):
        Entry.from_wire(QUERY, b"AC1" + ENTRY.as_wire()[3:])


@pytest.mark.parametrize("stamp", [0, GENERATION_LIMIT, -1])
def test_an_impossible_stamp_is_refused(stamp: int) -> None:
    """A stamp that is no generation is not judged, even where the checksum is right."""
    forged = Entry(QUERY, stamp, 1.0, 1.0, etag_of(BODY), BODY).as_wire()
    with pytest.raises(MalformedEntry, match="format"):
        Entry.from_wire(QUERY, forged)
    assert stamp_of(forged[:STAMP_REACH]) is None


@pytest.mark.parametrize("front", [b"", b"AC3", b"AC3 12", b"AC3 x 1", b"AC1 12 1", b"\x80\x04", b"null", b"[1, 2]"])
def test_what_is_no_entry_has_no_stamp(front: bytes) -> None:
    """A sweep finds no stamp in what others left."""
    assert stamp_of(front) is None


def test_the_longest_stamp_fits_into_its_reach() -> None:
    """The front that a sweep reads holds every stamp that there can be."""
    entry = Entry(QUERY, GENERATION_LIMIT - 1, 1.0, 1.0, etag_of(BODY), BODY)
    assert stamp_of(entry.as_wire()[:STAMP_REACH]) == GENERATION_LIMIT - 1


def test_the_rest_of_a_ttl_is_told_by_redis_clock() -> None:
    """It shrinks with Redis' time, goes below zero, and is never more than the TTL where clocks disagree."""
    assert ENTRY.remaining(1_700_000_000.125 + 10) == pytest.approx(51.5)
    assert ENTRY.remaining(1_700_000_100.0) < 0
    assert ENTRY.remaining(1_600_000_000.0) == 61.5


def test_an_etag_is_strong_and_the_same_for_the_same_bytes() -> None:
    """It is a quoted hash of the bytes alone."""
    assert etag_of(b"body") == etag_of(bytes(bytearray(b"body")))
    assert etag_of(b"body") != etag_of(b"body ")
    assert etag_of(b"")[0] == etag_of(b"")[-1] == '"'
    assert not etag_of(b"").startswith("W/")
