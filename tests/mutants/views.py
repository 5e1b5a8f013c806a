"""Views that are weaker in one point."""

import copy
from dataclasses import replace
from typing import Any

from coherence.changes import Bump
from coherence.query import Query
from coherence.view import Poll, Polled, View
from tests.mutants.mutant import Catalogue, machine, test, world

VIEWS = Catalogue()

_LEASES = machine("leases")
_PUTS = machine("puts")


@VIEWS.instead_of(View, "unaffected", world("one commit, nothing left out"))
def ignores_stamps(_: Any, view: View, query: Query, stamp: int, page: object = None) -> bool:
    """Serves whatever is no newer than its view."""
    del query, page
    return stamp <= view.generation


@VIEWS.instead_of(View, "unaffected", world("one commit, nothing left out"))
def judges_stamps_from_beyond(_: Any, view: View, query: Query, stamp: int, page: Any = None) -> bool:
    """Serves what others loaded under generations that it has not reached."""
    return view.history.affecting(query, page, stamp) is None


@VIEWS.instead_of(View, "polled", world("one commit"))
def counts_from_receipt(polled: Any, view: View, poll: Poll, *answer: Any) -> Polled:
    """Counts a lease's rest from the arrival of the answer, not from the sending of the poll."""
    now = max(poll.sent, 0.0)  # as it is in the world of the model
    outcome: Polled = polled(view, replace(poll, sent=now), *answer)
    return outcome


@VIEWS.instead_of(View, "polled", world("one commit"))
def extends_while_behind(polled: Any, view: View, poll: Poll, generation: int, pttl: float, *rest: Any) -> Polled:
    """Takes the lease before the changes that it vouches for."""
    outcome: Polled = polled(view, poll, generation, pttl, *rest)
    if outcome is Polled.BEHIND:
        view.valid_until = poll.sent + pttl
    return outcome


@VIEWS.instead_of(View, "_advance", world("two commits, two messages under way"))
def extends_with_the_first_message(advance: Any, view: View, generation: int) -> None:
    """Takes the lease that it waits with as soon as any message comes."""
    view._awaited = min(view._awaited, generation)
    advance(view, generation)


@VIEWS.instead_of(View, "lose_track", _PUTS)
def keeps_track(_: Any, view: View) -> None:
    """Goes on with what it has when the subscription is a new one: no resync."""
    view._lost_track = view.generation == 0


@VIEWS.instead_of(View, "polled", _PUTS)
def polls_alone(polled: Any, view: View, *answer: Any) -> Polled:
    """Relies on polls without a subscription."""
    view._subscribed = True
    outcome: Polled = polled(view, *answer)
    return outcome


@VIEWS.instead_of(View, "polled", _PUTS)
def believes_old_polls(polled: Any, view: View, poll: Poll, *answer: Any) -> Polled:
    """Takes the answer to a poll from before the subscription."""
    outcome: Polled = polled(view, replace(poll, subscription=view._subscription), *answer)
    return outcome


@VIEWS.instead_of(View, "receive", world("two commits"))
def ignores_gaps(receive: Any, view: View, bump: Bump) -> Any:
    """Takes each message for the next: `previous` is ignored."""
    return receive(view, replace(bump, previous=view.generation) if bump.generation > view.generation else bump)


@VIEWS.instead_of(View, "polled", world("one commit"))
def misses_quietly(polled: Any, view: View, *answer: Any) -> Polled:
    """Catches up with a poll as if nothing had changed."""
    before = copy.deepcopy(view.history)
    outcome: Polled = polled(view, *answer)
    if outcome is Polled.MISSED:
        view.history = before
    return outcome


@VIEWS.instead_of(View, "polled", world("one fault: subscription"))
def adopts_quietly(polled: Any, view: View, *answer: Any) -> Polled:
    """Begins anew as if nothing had changed."""
    before = copy.deepcopy(view.history)
    outcome: Polled = polled(view, *answer)
    if outcome is Polled.ADOPTED:
        view.history = before
    return outcome


@VIEWS.instead_of(View, "_refusal", test("unit/test_view.py"))
def believes_a_redis_that_is_behind(refusal: Any, view: View, *answer: Any) -> Polled | None:
    """Takes the lease of a Redis that has not got what the messages told."""
    outcome: Polled | None = refusal(view, *answer)
    return None if outcome is Polled.AHEAD else outcome


@VIEWS.instead_of(
    View, "distrust", world("a change of its own, and no answer"), test("integration/test_coherence_faults.py")
)
def trusts_itself(_: Any, view: View) -> None:
    """Believes its caches after a change that it could not announce."""
    del view


@VIEWS.instead_of(View, "_overlong", _LEASES)
def takes_any_lease(_: Any, view: View, sent: float, pttl: float) -> bool:
    """Believes a lease however long it is."""
    del view, sent, pttl
    return False


@VIEWS.instead_of(View, "_overlong", _LEASES)
def forgets_long_leases(_: Any, view: View, sent: float, pttl: float) -> bool:
    """Believes a lease that was too long once it has run down."""
    del sent
    return pttl > view.lease + 0.001


@VIEWS.instead_of(View, "clock_set_back", _LEASES)
def ignores_the_clock(_: Any, view: View, now: float, pttl: float) -> Polled:
    """Believes leases of a clock that was set back."""
    del view, now, pttl
    return Polled.CLOCK_SET_BACK
