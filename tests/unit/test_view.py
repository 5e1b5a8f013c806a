"""The view: which entries it calls unaffected, and for how long it may be relied on."""

import pytest

from coherence.changes import Bump, Change
from coherence.history import MOST_NAMESPACES
from coherence.query import Query
from coherence.view import Polled, Received, View

LEASE = 1.9
NAMESPACE = "anomalies"
OTHER = "transactions"


def bump(previous: int, generation: int, *namespaces: str | None) -> Bump:
    """Return a bump of these namespaces."""
    return Bump(previous, generation, tuple(Change(namespace, "update") for namespace in namespaces), 0.0)


def polled(view: View, now: float, generation: int | None, pttl: float = LEASE) -> Polled:
    """Poll at `now`; the answer comes at once."""
    return view.polled(view.poll(now), generation, pttl)


@pytest.fixture
def view() -> View:
    """A view in step with generation 10, its lease ending at 101.9."""
    view = View(LEASE)
    view.subscribed()
    assert polled(view, 100.0, 10) is Polled.ADOPTED
    return view


# -- before anything is known


def test_a_new_view_vouches_for_nothing() -> None:
    """Before its first poll a view is not valid, whatever messages came, and calls no stamp unaffected."""
    view = View(LEASE)
    view.subscribed()
    assert not view.valid(0.0)
    assert view.receive(bump(9, 10, NAMESPACE)) is Received.GAP
    assert not view.valid(0.0)
    assert not view.unaffected(Query(NAMESPACE), 9)


def test_the_first_poll_adopts_and_counts_everything_before_it_as_changed(view: View) -> None:
    """What was stamped before the adopted generation is affected; what is stamped with it is not."""
    assert view.valid(100.0)
    assert view.generation == 10
    assert view.unaffected(Query(NAMESPACE), 10)
    assert not view.unaffected(Query(NAMESPACE), 9)


# -- messages


def test_a_change_affects_older_stamps_of_its_namespace_alone(view: View) -> None:
    """A change makes older stamps of its namespace affected, and leaves those of others as they are."""
    assert view.receive(bump(10, 11, NAMESPACE)) is Received.APPLIED
    assert not view.unaffected(Query(NAMESPACE), 10)
    assert view.unaffected(Query(NAMESPACE), 11)
    assert view.unaffected(Query(OTHER), 10)


def test_a_change_of_everything_affects_every_namespace(view: View) -> None:
    """A change without a namespace is one of each."""
    assert view.receive(bump(10, 11, OTHER, None)) is Received.APPLIED
    assert not view.unaffected(Query(NAMESPACE), 10)
    assert not view.unaffected(Query(OTHER), 10)
    assert view.unaffected(Query(NAMESPACE), 11)


def test_a_gap_affects_everything(view: View) -> None:
    """A message that does not follow the last one stands for all that was missed."""
    assert view.receive(bump(11, 12, OTHER)) is Received.GAP
    assert not view.unaffected(Query(NAMESPACE), 10)
    assert not view.unaffected(Query(OTHER), 11)
    assert view.unaffected(Query(NAMESPACE), 12)


def test_late_and_duplicate_messages_do_nothing(view: View) -> None:
    """A message at or below the view's generation is ignored; what overtook it stood for everything."""
    view.receive(bump(11, 12, OTHER))
    for late in (bump(10, 11, NAMESPACE), bump(11, 12, OTHER)):
        assert view.receive(late) is Received.OLD
    assert view.generation == 12
    assert view.unaffected(Query(NAMESPACE), 12)


def test_a_message_neither_extends_nor_ends_validity(view: View) -> None:
    """Messages are hearsay: only a poll says how long the view may be relied on."""
    view.receive(bump(10, 11, NAMESPACE))
    assert view.valid_until == pytest.approx(101.9)


def test_a_stamp_from_beyond_the_view_is_affected(view: View) -> None:
    """A stamp above the view's own generation is another's, which this view cannot judge."""
    assert not view.unaffected(Query(NAMESPACE), 11)


def test_namespaces_without_end_are_taken_together(view: View) -> None:
    """Past the namespaces that a view tells apart it forgets which changed, and takes everything as changed."""
    view.receive(bump(10, 11, NAMESPACE))
    for number in range(MOST_NAMESPACES):
        assert view.receive(bump(11 + number, 12 + number, f"namespace-{number}")) is Received.APPLIED
    last = 11 + MOST_NAMESPACES
    assert not view.unaffected(Query(NAMESPACE), last - 1)
    assert not view.unaffected(Query("never seen"), last - 1)
    assert view.unaffected(Query("never seen"), last)


# -- polls


def test_validity_counts_from_the_sending_of_the_poll(view: View) -> None:
    """However late the answer comes, the lease's rest began no earlier than the poll was sent."""
    poll = view.poll(101.0)
    assert view.polled(poll, 10, 1.5) is Polled.IN_STEP
    assert view.valid(102.49)
    assert not view.valid(102.5)


def test_the_end_of_validity_is_not_valid(view: View) -> None:
    """The lease's last moment is past it."""
    assert view.valid(101.899)
    assert not view.valid(view.valid_until)


def test_a_poll_may_shorten_validity(view: View) -> None:
    """A shorter rest replaces a longer one: the lease that was seen before is no more."""
    assert polled(view, 100.1, 10, 0.5) is Polled.IN_STEP
    assert not view.valid(100.7)


def test_a_poll_that_is_ahead_extends_nothing_until_its_message_comes(view: View) -> None:
    """The backplane is late: the old lease runs on, the new one counts once the view has caught up."""
    assert polled(view, 101.0, 12) is Polled.BEHIND
    assert view.valid_until == pytest.approx(101.9)
    assert view.unaffected(Query(NAMESPACE), 10)
    view.receive(bump(10, 11, OTHER))
    assert view.valid_until == pytest.approx(101.9)
    view.receive(bump(11, 12, NAMESPACE))
    assert view.valid_until == pytest.approx(102.9)
    assert not view.unaffected(Query(NAMESPACE), 11)


def test_a_gap_catches_up_too(view: View) -> None:
    """Taking everything as changed is a way of having applied each change."""
    polled(view, 101.0, 12)
    assert view.receive(bump(12, 13, OTHER)) is Received.GAP
    assert view.valid_until == pytest.approx(102.9)
    assert not view.unaffected(Query(NAMESPACE), 12)


def test_a_message_that_passes_over_what_a_poll_has_shown_affects_everything(view: View) -> None:
    """Redis had 12 and lost it in a failover: a bump made without it follows what we know, but not what we awaited."""
    polled(view, 101.0, 12)
    assert view.receive(bump(10, 13, OTHER)) is Received.GAP
    assert not view.unaffected(Query(NAMESPACE), 10)
    assert view.unaffected(Query(NAMESPACE), 13)


def test_a_message_that_never_comes_counts_as_everything_at_the_next_poll(view: View) -> None:
    """Still behind at the next poll: the message is lost, so everything changed, and the view goes on from there."""
    polled(view, 100.3, 12)
    assert polled(view, 100.6, 12) is Polled.MISSED
    assert view.generation == 12
    assert view.valid_until == pytest.approx(102.5)
    assert not view.unaffected(Query(NAMESPACE), 11)
    assert view.unaffected(Query(NAMESPACE), 12)
    assert view.receive(bump(10, 12, NAMESPACE)) is Received.OLD


def test_a_view_that_catches_up_between_polls_is_behind_anew(view: View) -> None:
    """Under steady changes each poll may find a newer generation: that is lateness, not loss."""
    assert polled(view, 100.3, 12) is Polled.BEHIND
    view.receive(bump(10, 12, NAMESPACE))
    assert polled(view, 100.6, 13) is Polled.BEHIND
    view.receive(bump(12, 13, NAMESPACE))
    assert polled(view, 100.9, 13) is Polled.IN_STEP


def test_an_answer_that_messages_overtook_is_in_step(view: View) -> None:
    """A poll that saw less than what messages have brought since it was sent proves what it saw."""
    poll = view.poll(100.5)
    view.receive(bump(10, 11, NAMESPACE))
    assert view.polled(poll, 10, LEASE) is Polled.IN_STEP
    assert view.valid_until == pytest.approx(102.4)


def test_a_generation_that_messages_passed_over_is_not_believed(view: View) -> None:
    """A poll that reaches another Redis than the messages come from tells of changes that no message brings."""
    poll = view.poll(100.5)
    view.receive(bump(10, 12, OTHER))
    assert view.polled(poll, 11, LEASE) is Polled.AHEAD
    assert not view.valid(100.5)


def test_only_what_was_passed_since_the_poll_was_sent_is_in_step(view: View) -> None:
    """A generation from before the poll shows lost writes, also one that the view has had."""
    view.receive(bump(10, 11, NAMESPACE))
    poll = view.poll(100.5)
    view.receive(bump(11, 12, NAMESPACE))
    assert view.polled(poll, 10, LEASE) is Polled.AHEAD


def test_a_redis_that_forgot_is_not_believed(view: View) -> None:
    """A generation below what the view knew when it asked shows lost writes: what else was lost, nobody can tell."""
    view.receive(bump(10, 11, NAMESPACE))
    assert polled(view, 100.5, 10) is Polled.AHEAD
    assert not view.valid(100.5)


def test_a_mended_generation_after_lost_writes_counts_as_everything(view: View) -> None:
    """The bump that lifts Redis above the view does not follow what the view knows."""
    view.receive(bump(10, 20, NAMESPACE))
    assert polled(view, 100.5, 10) is Polled.AHEAD
    assert view.receive(bump(10, 21, OTHER)) is Received.GAP
    assert not view.unaffected(Query(NAMESPACE), 20)
    assert polled(view, 100.6, 21) is Polled.IN_STEP


@pytest.mark.parametrize(
    ("generation", "pttl", "outcome"),
    [
        (None, LEASE, Polled.NO_LEASE),
        (10, 0.0, Polled.NO_LEASE),
        (10, -1.0, Polled.NO_LEASE),
        (10, LEASE + 0.01, Polled.LEASE_TOO_LONG),
    ],
    ids=["no generation", "expired", "no expiry", "longer than a lease"],
)
def test_without_a_lease_there_is_no_view(view: View, generation: int | None, pttl: float, outcome: Polled) -> None:
    """No readable key, no rest, or one that no lease can have: the view is not valid, at once."""
    assert polled(view, 100.5, generation, pttl) is outcome
    assert not view.valid(100.5)


def test_a_lease_that_returns_at_the_same_generation_proves_that_nothing_changed(view: View) -> None:
    """A key that never went missing kept every bump: entries from before stay good."""
    polled(view, 100.5, 10, 0.0)
    assert polled(view, 100.8, 10) is Polled.IN_STEP
    assert view.unaffected(Query(NAMESPACE), 10)


def test_a_message_does_not_revive_a_lease_that_is_gone(view: View) -> None:
    """What a poll showed before the lease was lost is forgotten with it."""
    polled(view, 100.3, 12)
    polled(view, 100.6, None)
    view.receive(bump(10, 12, NAMESPACE))
    assert not view.valid(100.7)


# -- losing track


def test_without_a_subscription_no_poll_is_relied_on(view: View) -> None:
    """Who publishes a change waits for those who get the message: one who does not must not answer from memory."""
    view.unsubscribed()
    assert not view.valid(100.1)
    assert polled(view, 100.2, 10) is Polled.UNSUBSCRIBED
    assert not view.valid(100.2)
    assert polled(View(LEASE), 100.0, 10) is Polled.UNSUBSCRIBED


def test_after_a_new_subscription_nothing_is_relied_on_before_a_poll(view: View) -> None:
    """Messages may have passed unheard: the view ends, and the next poll counts everything as changed."""
    view.unsubscribed()
    view.subscribed()
    assert not view.valid(100.1)
    assert polled(view, 100.2, 11) is Polled.ADOPTED
    assert not view.unaffected(Query(NAMESPACE), 10)
    assert view.valid(100.2)


def test_a_new_subscription_without_a_change_costs_no_entry(view: View) -> None:
    """The generation is the same as before, so nothing was missed."""
    view.lose_track()
    assert polled(view, 100.2, 10) is Polled.ADOPTED
    assert view.unaffected(Query(NAMESPACE), 10)


def test_a_poll_from_before_the_subscription_says_nothing(view: View) -> None:
    """What it saw may be older than messages that were missed after it."""
    poll = view.poll(100.5)
    view.subscribed()
    assert view.polled(poll, 10, LEASE) is Polled.OUTDATED
    assert not view.valid(100.6)


def test_a_message_after_losing_track_follows_nothing(view: View) -> None:
    """Even where it fits the generation: another bump of Redis may have been lost with the messages."""
    view.lose_track()
    assert view.receive(bump(10, 11, OTHER)) is Received.GAP
    assert not view.unaffected(Query(NAMESPACE), 10)
    assert not view.valid(100.1)


def test_a_lease_seen_before_losing_track_does_not_come_back(view: View) -> None:
    """A poll that was waiting for its message proves nothing once track is lost."""
    polled(view, 100.3, 12)
    view.lose_track()
    view.receive(bump(10, 12, NAMESPACE))
    assert not view.valid(100.4)


# -- distrust


def test_distrust_ends_with_trust_alone(view: View) -> None:
    """A change of our own that could not be announced: no poll and no message helps, announcing it does."""
    view.distrust()
    assert not view.valid(100.1)
    polled(view, 100.2, 10)
    view.receive(bump(10, 11, None))
    polled(view, 100.3, 11)
    assert not view.valid(100.4)
    view.trust()
    assert view.valid(100.4)


# -- a clock set back


def test_leases_of_a_clock_that_was_set_back_are_suspect(view: View) -> None:
    """A lease from before may last too long: two leases long, none is believed."""
    assert view.clock_set_back(100.5, 1.0) is Polled.CLOCK_SET_BACK
    assert not view.valid(100.5)
    assert polled(view, 100.5 + 2 * LEASE - 0.01, 10) is Polled.CLOCK_SET_BACK
    assert not view.valid(100.5 + 2 * LEASE - 0.01)
    assert polled(view, 100.5 + 2 * LEASE, 10) is Polled.IN_STEP


def test_a_lease_that_was_too_long_is_not_believed_as_it_runs_out(view: View) -> None:
    """Set far back, the clock lets a lease outlast the two: it is known by its end until that has passed."""
    view.clock_set_back(100.5, 1.0)
    ends = 150.0
    now = 100.8
    while now < ends:
        assert polled(view, now, 10, ends - now) is Polled.LEASE_TOO_LONG
        assert not view.valid(now)
        now += LEASE / 5.7
    assert polled(view, ends + LEASE + 0.01, 10) is Polled.IN_STEP


def test_a_clock_set_far_back_is_remembered_through_a_long_silence(view: View) -> None:
    """The lease is known by what it had left when the step was noticed, though no poll was made until its last rest."""
    view.clock_set_back(100.5, 50.0)
    assert polled(view, 150.0, 10, 0.5) is Polled.LEASE_TOO_LONG
    assert not view.valid(150.0)


def test_a_renewal_in_place_of_a_lease_that_was_too_long_is_believed(view: View) -> None:
    """A lease with another end shows that a listener is there, and has given one by the clock as it is now."""
    assert polled(view, 100.5, 10, 3600.0) is Polled.LEASE_TOO_LONG
    assert polled(view, 100.8, 10) is Polled.IN_STEP
    assert polled(view, 102.8, 10) is Polled.IN_STEP


def test_the_lease_of_a_listener_with_a_larger_bound_is_not_believed_as_it_runs_out(view: View) -> None:
    """Its beginning lies too long ago, however short its rest is."""
    assert polled(view, 100.3, 10, 1.5 * LEASE) is Polled.LEASE_TOO_LONG
    assert polled(view, 100.3 + LEASE, 10, 0.5 * LEASE) is Polled.LEASE_TOO_LONG
    assert not view.valid(100.3 + LEASE)
