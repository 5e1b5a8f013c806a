"""How long a standby watches a holder that gives no lease."""

from listener.patience import Patience


def test_ends_after_the_limit() -> None:
    """The same idle holder for longer than the limit has had its chance."""
    patience = Patience(1.0)
    assert not patience.ends(10.0, 7)
    assert not patience.ends(11.0, 7)
    assert patience.ends(11.1, 7)


def test_a_lease_in_between_begins_it_anew() -> None:
    """A holder that gave a lease meanwhile, or a standby that could not have, starts the wait again."""
    patience = Patience(1.0)
    patience.ends(10.0, 7)
    patience.ends(10.9, None)
    assert not patience.ends(11.1, 7)
    assert patience.ends(12.2, 7)


def test_another_holder_gets_its_own_chance() -> None:
    """The wait is for one holder."""
    patience = Patience(1.0)
    patience.ends(10.0, 7)
    assert not patience.ends(11.1, 8)


def test_nobody_is_never_waited_for() -> None:
    """Without an idle holder there is nothing to end."""
    patience = Patience(1.0)
    patience.ends(10.0, None)
    assert not patience.ends(99.0, None)
