"""Redis' clock as a process sees it through its own."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coherence.clock import DRIFT, RedisClock, monotonic

AHEAD = 1_700_000_000.0
"""How far Redis' clock is ahead of ours, in these tests."""


def reading(sent: float, delay: float = 0.0, *, ahead: float = AHEAD) -> float:
    """Return what Redis' clock says `delay` seconds after the poll was sent."""
    return sent + delay + ahead


def test_before_the_first_reading_nothing_is_known() -> None:
    """There is no offset, and Redis' time is told as 0."""
    clock = RedisClock()
    assert clock.offset is None
    assert clock.at(100.0) == 0.0


def test_redis_time_is_told_within_half_a_round_trip() -> None:
    """The estimate is off by no more than half the time that the poll took."""
    clock = RedisClock()
    assert clock.observe(100.0, 100.2, reading(100.0, 0.2))
    assert clock.at(150.0) == pytest.approx(150.0 + AHEAD, abs=0.1001)


@given(
    polls=st.lists(st.tuples(st.floats(0, 100), st.floats(0, 0.25), st.floats(0, 1)), max_size=30),
    rate=st.floats(1 - DRIFT, 1 + DRIFT),
)
def test_a_steady_clock_is_never_called_set_back(polls: list[tuple[float, float, float]], rate: float) -> None:
    """Whenever polls are made and however long they take, allowed drift and jitter are no step."""
    clock = RedisClock()
    now = 50.0
    for pause, took, share in polls:
        sent, received = now + pause, now + pause + took
        assert clock.observe(sent, received, AHEAD + rate * (sent + share * took))
        now = received


@given(
    before=st.floats(0, 0.25),
    after=st.floats(0, 0.25),
    pause=st.floats(0.1, 60),
    step=st.floats(0.001, 3600),
    shares=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_a_step_back_that_shows_is_noticed(
    before: float, after: float, pause: float, step: float, shares: tuple[float, float]
) -> None:
    """A step is noticed unless it hides within the round trips, and then it makes no lease look longer than it is."""
    clock = RedisClock()
    sent, received = 100.0, 100.0 + before
    clock.observe(sent, received, reading(sent, shares[0] * before))
    again, answered = received + pause, received + pause + after
    steady = clock.observe(again, answered, reading(again, shares[1] * after, ahead=AHEAD - step))
    if step > before + after + 2 * DRIFT * (pause + after) + 0.002:
        assert not steady
    if steady and before == 0:
        # What a lease seems to have left, counted from the sending, ends no later than it truly does.
        assert step <= shares[1] * after + 2 * DRIFT * (pause + after) + 0.002


def test_a_step_back_over_several_slow_polls_is_noticed_at_the_first_quick_one() -> None:
    """Slow polls hide a step within their round trip, but do not make it the new truth."""
    clock = RedisClock()
    assert clock.observe(100.0, 100.001, reading(100.0))
    assert clock.observe(101.0, 101.25, reading(101.0, 0.25, ahead=AHEAD - 0.2))
    assert not clock.observe(102.0, 102.001, reading(102.0, ahead=AHEAD - 0.2))


def test_a_step_back_is_told_once() -> None:
    """After it, the clock as it is now is what later readings are measured by."""
    clock = RedisClock()
    clock.observe(100.0, 100.001, reading(100.0))
    assert not clock.observe(101.0, 101.001, reading(101.0, ahead=AHEAD - 5))
    assert clock.observe(102.0, 102.001, reading(102.0, ahead=AHEAD - 5))
    assert clock.at(110.0) == pytest.approx(110.0 + AHEAD - 5, abs=0.001)
    assert not clock.observe(103.0, 103.001, reading(103.0, ahead=AHEAD - 6))


def test_a_step_forward_is_no_step_back() -> None:
    """It ends leases early, which is safe; stepping back to where it was is noticed."""
    clock = RedisClock()
    clock.observe(100.0, 100.001, reading(100.0))
    assert clock.observe(101.0, 101.001, reading(101.0, ahead=AHEAD + 60))
    assert clock.at(110.0) == pytest.approx(110.0 + AHEAD + 60, abs=0.001)
    assert not clock.observe(102.0, 102.001, reading(102.0))


def test_a_lease_that_was_there_before_us_is_not_overseen() -> None:
    """However long it is looked at; each later one is, whether it ends later or, the clock being set back, earlier."""
    clock = RedisClock()
    assert not clock.oversaw(100.0)
    assert not clock.oversaw(100.004)
    assert clock.oversaw(100.2)
    assert clock.oversaw(40.0)


def test_where_there_was_no_lease_each_is_overseen() -> None:
    """It was given under our eyes."""
    clock = RedisClock()
    clock.oversaw(0.0)
    assert clock.oversaw(100.0)


def test_our_own_clock_goes_on_and_never_back() -> None:
    """It is the system's, in seconds, not slower than the one that stops while the machine is suspended."""
    first, began = monotonic(), time.monotonic()
    while time.monotonic() - began < 0.01:
        pass
    assert 0.01 <= monotonic() - first < 60
