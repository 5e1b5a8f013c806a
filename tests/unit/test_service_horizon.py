"""Which versions of rows are old enough for every cache to know of them."""

import pytest

from service.horizon import Horizon
from tests.support.clocks import HandClock

BOUND = 2.0


@pytest.fixture
def clock() -> HandClock:
    """The process' clock."""
    return HandClock()


@pytest.fixture
def horizon(clock: HandClock) -> Horizon:
    """A horizon that has just seen that all transactions before 1000 had ended."""
    horizon = Horizon(BOUND, clock)
    assert not horizon.settled(1, 1000)
    return horizon


def test_nothing_is_settled_before_a_bound_has_passed(horizon: Horizon, clock: HandClock) -> None:
    """However old the version is: nobody knows how long ago it was written."""
    clock.advance(BOUND - 0.001)
    assert not horizon.settled(1, 1000)


def test_what_had_ended_a_bound_ago_is_settled(horizon: Horizon, clock: HandClock) -> None:
    """And what had not is not, though it has ended since."""
    clock.advance(BOUND)
    assert horizon.settled(999, 1200)
    assert not horizon.settled(1000, 1200)
    assert not horizon.settled(1199, 1200)


def test_the_horizon_moves_a_bound_behind(horizon: Horizon, clock: HandClock) -> None:
    """Of many questions one in each bound moves it on."""
    settled = []
    for tenths in range(60):
        settled.append(horizon.settled(1010, 1000 + tenths))
        clock.advance(0.1)
    assert settled.index(True) in range(40, 45)
    assert all(settled[settled.index(True) :])


def test_numbers_go_around(clock: HandClock) -> None:
    """Transactions are numbered around a circle: the half of it before one's own is the past."""
    horizon = Horizon(BOUND, clock)
    horizon.settled(0, 100)
    clock.advance(BOUND)
    assert horizon.settled(2**32 - 10, 101)
    assert not horizon.settled(200, 101)
    assert not horizon.settled(100 + 2**31, 101)


def test_another_server_begins_anew(horizon: Horizon, clock: HandClock) -> None:
    """Where a standby took over that had not heard of everything, its numbers are given a second time."""
    clock.advance(BOUND)
    assert horizon.settled(900, 1000)
    assert not horizon.settled(900, 950)
    clock.advance(BOUND)
    assert not horizon.settled(960, 970)
    assert horizon.settled(940, 970)
