"""The process-local cache: least recently used first, bounded by bytes."""

from hypothesis import given
from hypothesis import strategies as st

from coherence.entry import Entry, etag_of
from coherence.l1 import ENTRY_OVERHEAD, FORM_OVERHEAD, L1
from coherence.query import Query


def entry(name: int, size: int = 0, stamp: int = 1) -> Entry:
    """Return an entry with a body of `size` bytes."""
    body = b"x" * size
    return Entry(Query("anomalies", {"name": name}), stamp, 0.0, 60.0, etag_of(body), body)


def test_what_is_put_is_got_with_its_end() -> None:
    """An entry is kept under its query's key; others are not there."""
    cache = L1(1_000_000)
    assert cache.put(entry(1), ends=100.0)
    kept = cache.get(entry(1).query.key)
    assert kept is not None
    assert (kept.entry, kept.ends) == (entry(1), 100.0)
    assert cache.get(entry(2).query.key) is None


def test_the_later_put_replaces_the_earlier() -> None:
    """There is one entry for a key, and its bytes count once."""
    cache = L1(1_000_000)
    cache.put(entry(1, size=5000), ends=1.0)
    cache.put(entry(1, size=10, stamp=2), ends=2.0)
    kept = cache.get(entry(1).query.key)
    assert kept is not None
    assert kept.entry.stamp == 2
    assert len(cache) == 1
    assert cache.bytes < 5000


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 4000)), max_size=60))
def test_it_never_holds_more_bytes_than_it_may(puts: list[tuple[int, int]]) -> None:
    """Whatever is put, the bytes stay within bounds, and count every entry with its overhead."""
    cache = L1(10_000)
    for name, size in puts:
        cache.put(entry(name, size), ends=1.0)
        assert cache.bytes <= cache.max_bytes == 10_000
        assert cache.bytes >= len(cache) * ENTRY_OVERHEAD


def test_the_least_recently_used_goes_first() -> None:
    """Reading an entry keeps it; the one not read for longest makes room."""
    cache = L1(3 * 4000)
    for name in (1, 2, 3):
        cache.put(entry(name, size=4000 - ENTRY_OVERHEAD - 200), ends=1.0)
    assert len(cache) == 3
    cache.get(entry(1).query.key)
    cache.put(entry(4, size=4000 - ENTRY_OVERHEAD - 200), ends=1.0)
    there = [name for name in (1, 2, 3, 4) if cache.get(entry(name).query.key) is not None]
    assert there == [1, 3, 4]


def test_what_is_larger_than_the_cache_is_not_kept() -> None:
    """It pushes nothing else out; what it should have replaced goes, for it is older."""
    cache = L1(5000)
    cache.put(entry(1), ends=1.0)
    cache.put(entry(2), ends=1.0)
    assert not cache.put(entry(1, size=6000), ends=1.0)
    assert cache.get(entry(1).query.key) is None
    assert cache.get(entry(2).query.key) is not None


def test_a_cache_without_room_keeps_nothing() -> None:
    """Zero bytes is a size like any other."""
    cache = L1(0)
    assert not cache.put(entry(1), ends=1.0)
    assert len(cache) == cache.bytes == 0


def test_coded_bodies_count() -> None:
    """What has grown is counted anew, and pushes others out; what is not kept does not count."""
    cache = L1(3 * 4000)
    first, second = entry(1, size=500), entry(2, size=500)
    for each in (first, second):
        cache.put(each, ends=1.0)
    before = cache.bytes
    second.coded["gzip"] = b"x" * 300
    cache.grown(second)
    assert cache.bytes == before + 300 + FORM_OVERHEAD
    stranger = entry(1, size=500, stamp=2)
    stranger.coded["gzip"] = b"x" * 300
    cache.grown(stranger)
    assert cache.bytes == before + 300 + FORM_OVERHEAD
    second.coded["br"] = b"x" * 5000
    cache.grown(second)
    assert cache.get(first.query.key) is None
    assert cache.bytes <= cache.max_bytes


def test_codings_that_do_not_fit_are_dropped() -> None:
    """The entry stays."""
    cache = L1(5000)
    only = entry(1, size=1000)
    cache.put(only, ends=1.0)
    only.coded["gzip"] = b"x" * 2500
    cache.grown(only)
    assert only.coded == {"gzip": b""}
    assert cache.get(only.query.key) is not None
