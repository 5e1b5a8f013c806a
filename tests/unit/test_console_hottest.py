"""Which answers are asked for most."""

from coherence.entry import Entry
from coherence.query import Query
from service.console.hottest import MOST_COUNTED, SHOWN, Hottest
from tests.support.clocks import HandClock


def entry(**parameters: int) -> Entry:
    """Return an answer to a query with these parameters."""
    return Entry(Query("anomalies", parameters), stamp=1, stored_at=0.0, ttl=60.0, etag='"x"', body=b"x")


def rates(hottest: Hottest) -> dict[str, float]:
    """Look, and return the hits a second by key."""
    return {each["key"]: each["per_second"] for each in hottest.look()}


def test_the_hottest_come_first_and_cool_down() -> None:
    """By hits a second, of either layer; what is asked for no more is gone after a while."""
    clock = HandClock()
    hottest = Hottest(clock)
    hot, warm = entry(limit=5), entry(limit=6)
    for _ in range(30):
        hottest.hit(hot, "l1")
    hottest.hit(warm, "l2")
    clock.advance(2.0)
    assert list(rates(hottest).items()) == [(hot.query.key, 15.0), (warm.query.key, 0.5)]
    clock.advance(1.0)
    assert rates(hottest)[hot.query.key] == 12.0
    for _ in range(60):
        clock.advance(1.0)
        hottest.look()
    assert hottest.look() == []


def test_what_is_asked_is_told_without_what_is_not_given() -> None:
    """In the words of the request."""
    clock = HandClock()
    hottest = Hottest(clock)
    query = Query("anomalies", {"limit": 5, "status": None})
    hottest.hit(Entry(query, stamp=1, stored_at=0.0, ttl=60.0, etag='"x"', body=b"x"), "l1")
    clock.advance(1.0)
    assert hottest.look() == [
        {"key": query.key, "namespace": "anomalies", "parameters": {"limit": 5}, "per_second": 1.0}
    ]
    hottest.forget()
    assert hottest.look() == []


def test_it_is_bounded() -> None:
    """In what it counts, and in what it shows."""
    clock = HandClock()
    hottest = Hottest(clock)
    for number in range(MOST_COUNTED + 100):
        hottest.hit(entry(limit=number), "l1")
    assert len(hottest._counts) == len(hottest._queries) == MOST_COUNTED
    clock.advance(1.0)
    assert len(hottest.look()) == SHOWN
    assert len(hottest._queries) < MOST_COUNTED
