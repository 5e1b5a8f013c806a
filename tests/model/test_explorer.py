"""I1 to I4 in every state of the small world, as far as the suite can afford; `make model` goes farther."""

from tests.model.explorer import Search
from tests.model.worlds import WORLDS


def test_every_state_of_a_world_with_one_commit() -> None:
    """Whoever is paused where, and whatever becomes of the messages: no view vouches for what it must not."""
    report = Search(WORLDS["one commit"]).run(10**6)
    assert report.complete
    assert not report.broken, report.broken
    assert report.serving > 500, "a cache that is always off breaks no promise"


def test_the_nearest_states_of_a_world_in_which_all_happens() -> None:
    """Two replicas, a listener and its successor, two commits, two faults of any kind: so far, no promise breaks."""
    report = Search(WORLDS["all at once"]).run(8_000)
    assert not report.broken, report.broken
    assert report.serving > 4_000
