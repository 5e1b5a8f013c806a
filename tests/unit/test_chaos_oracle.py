"""The oracle of the scenarios: what is too old, what never was, and what it counts."""

import math

import pytest

from tests.chaos.oracle import Oracle, Read, Staleness, Target

ROW = Target("/row", ("a",))
EVEN = Target("/even", ("a", "b"), 0)
BOUND = 1.0


@pytest.fixture
def oracle() -> Oracle:
    """Rows a and b of version 2; a is 3 from between 10.0 and 10.1 on, and 4 from between 20.0 and 20.1 on."""
    made = Oracle(BOUND, {"a": 2, "b": 2})
    for version, at in ((3, 10.0), (4, 20.0)):
        made.begins("a", version, at)
        made.commits("a", at + 0.1)
    return made


def read(started: float, target: Target = ROW, *, took: float = 0.01, **rows: int) -> Read:
    """Return an answer."""
    return Read(0, target, started, started + took, "l1", rows)


@pytest.mark.parametrize(
    ("answer", "outdated"),
    [
        (read(9.0, a=2), 0.0),
        (read(10.05, a=2), 0.0),
        (read(10.05, a=3), 0.0),
        (read(10.5, a=2), 0.4),
        (read(11.0, a=2), 0.9),
        (read(11.3, a=2), 1.2),
        (read(30.0, a=4), 0.0),
        (read(30.0, a=2), 19.9),
        (read(9.0, a=3), math.inf),
        (read(9.99, took=0.02, a=3), 0.0),
        (read(30.0, a=5), math.inf),
        (read(30.0), math.inf),
    ],
)
def test_an_answer_is_outdated_since_a_newer_commit_returned(oracle: Oracle, answer: Read, outdated: float) -> None:
    """Counted to the moment at which it was asked for; a version that was not written yet, or is missing, never was."""
    assert oracle.judge(answer, "quiet") == pytest.approx(outdated)
    assert oracle.tallies["quiet"].violations == (outdated > BOUND)
    assert len(oracle.violations) == (outdated > BOUND)


@pytest.mark.parametrize(
    ("answer", "outdated"),
    [
        (read(9.0, EVEN, a=2, b=2), 0.0),
        (read(9.0, EVEN, b=2), math.inf),
        (read(15.0, EVEN, b=2), 0.0),
        (read(15.0, EVEN, a=2, b=2), 4.9),
        (read(15.0, EVEN, a=3, b=2), math.inf),
        (read(20.5, EVEN, b=2), 0.4),
        (read(30.0, EVEN, b=2), 9.9),
        (read(30.0, EVEN, a=4, b=2), 0.0),
        (read(30.0, EVEN, a=4), math.inf),
    ],
)
def test_a_row_that_a_filter_hides_had_a_version_that_is_hidden(oracle: Oracle, answer: Read, outdated: float) -> None:
    """It is outdated since a version that is shown returned; shown although hidden, it never was."""
    assert oracle.judge(answer, "quiet") == pytest.approx(outdated)


def test_a_commit_of_unknown_fate_outdates_nothing(oracle: Oracle) -> None:
    """Until a later one has returned, both it and the one before it may be what there is."""
    oracle.begins("a", 5, 30.0)
    assert oracle.judge(read(40.0, a=4), "fault") == 0.0
    assert oracle.judge(read(40.0, a=5), "fault") == 0.0
    oracle.begins("a", 6, 50.0)
    oracle.commits("a", 50.0)
    assert oracle.judge(read(51.0, a=4), "fault") == 1.0
    assert oracle.judge(read(51.0, a=5), "fault") == 1.0
    assert oracle.violations == []


def test_a_database_that_lost_a_commit_has_an_older_version_again(oracle: Oracle) -> None:
    """From then on what it lost is old, and what was before is new."""
    oracle.restored("a", 3, 30.0)
    assert oracle.judge(read(30.5, a=4), "fault") == 0.5
    assert oracle.judge(read(32.0, a=3), "fault") == 0.0
    assert oracle.judge(read(32.0, a=4), "fault") == 2.0
    assert oracle.newest("a") == 3


def test_the_newest_is_shown_exactly(oracle: Oracle) -> None:
    """With each row that the filter shows, and no other."""
    assert oracle.shows_newest(read(30.0, a=4))
    assert not oracle.shows_newest(read(30.0, a=3))
    assert oracle.shows_newest(read(30.0, EVEN, a=4, b=2))
    assert not oracle.shows_newest(read(30.0, EVEN, a=4))


def test_it_keeps_counts_and_the_first_violations(oracle: Oracle) -> None:
    """However many answers there are."""
    for _ in range(1000):
        oracle.judge(read(30.0, a=4), "quiet")
        oracle.judge(read(30.0, a=2), "fault")
    assert (oracle.total.reads, oracle.total.violations, len(oracle.violations)) == (2000, 1000, 20)
    assert (oracle.total.hits("l1"), oracle.total.hits("l2")) == (2000, 0)
    assert oracle.total.staleness.worst == pytest.approx(19.9)
    assert "a=2, outdated for 19.900 s" in str(oracle.violations[0])


def test_percentiles_are_of_all_answers() -> None:
    """To the millisecond, rounded up."""
    staleness = Staleness()
    staleness.add(0.0, 98)
    staleness.add(0.0101)
    staleness.add(0.5)
    assert [staleness.percentile(percent) for percent in (50, 98, 99, 100)] == [0.0, 0.0, 0.011, 0.5]
    assert staleness.worst == 0.5
    assert Staleness().percentile(99) == 0.0
