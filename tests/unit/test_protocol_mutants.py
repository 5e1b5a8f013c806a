"""The models find what they are there to find: a view with any one of its rules left out breaks the promise."""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, Verbosity, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test
from typing_extensions import override

from coherence.changes import Bump
from coherence.query import Query
from coherence.rows import Page
from coherence.view import Poll, Polled, Received, View
from tests.support.protocol import LEASE
from tests.unit import test_protocol_leases, test_protocol_model, test_protocol_puts

Namespaces = frozenset[str] | None


class Mutant(View):
    """A view that can look at its process' clock."""

    clock: Callable[[], float]


class IgnoresStamps(Mutant):
    """Serves whatever is no newer than itself."""

    @override
    def unaffected(self, query: Query, stamp: int, page: Page | None = None) -> bool:
        del query, page
        return stamp <= self.generation


class JudgesStampsFromBeyond(Mutant):
    """Serves what others loaded under generations that it has not reached."""

    @override
    def unaffected(self, query: Query, stamp: int, page: Page | None = None) -> bool:
        return self.history.affecting(query, page, stamp) is None


class CountsFromReceipt(Mutant):
    """Counts a lease's rest from the arrival of the answer, not from the sending of the poll."""

    @override
    def polled(self, poll: Poll, generation: int | None, pttl: float, namespaces: Namespaces = None) -> Polled:
        return super().polled(replace(poll, sent=self.clock()), generation, pttl, namespaces)


class ExtendsWhileBehind(Mutant):
    """Takes the lease before the changes that it vouches for."""

    @override
    def polled(self, poll: Poll, generation: int | None, pttl: float, namespaces: Namespaces = None) -> Polled:
        outcome = super().polled(poll, generation, pttl, namespaces)
        if outcome is Polled.BEHIND:
            self.valid_until = poll.sent + pttl
        return outcome


class ExtendsWithTheFirstMessage(Mutant):
    """Takes the lease that it waits with as soon as any message comes."""

    @override
    def _advance(self, generation: int) -> None:
        self._awaited = min(self._awaited, generation)
        super()._advance(generation)


class KeepsTrack(Mutant):
    """Goes on with what it has when the subscription is a new one."""

    @override
    def lose_track(self) -> None:
        return


class PollsAlone(Mutant):
    """Relies on polls without a subscription."""

    @override
    def polled(self, poll: Poll, generation: int | None, pttl: float, namespaces: Namespaces = None) -> Polled:
        self._subscribed = True
        return super().polled(poll, generation, pttl, namespaces)


class BelievesOldPolls(Mutant):
    """Takes the answer to a poll from before the subscription."""

    @override
    def polled(self, poll: Poll, generation: int | None, pttl: float, namespaces: Namespaces = None) -> Polled:
        return super().polled(replace(poll, subscription=self._subscription), generation, pttl, namespaces)


class TrustsItself(Mutant):
    """Believes its caches after a change that it could not announce."""

    @override
    def distrust(self) -> None:
        return


class IgnoresGaps(Mutant):
    """Takes each message for the next."""

    @override
    def receive(self, bump: Bump) -> Received:
        newer = bump.generation > self.generation
        return super().receive(replace(bump, previous=self.generation) if newer else bump)


class MissesQuietly(Mutant):
    """Catches up with a poll as if nothing had changed."""

    @override
    def polled(self, poll: Poll, generation: int | None, pttl: float, namespaces: Namespaces = None) -> Polled:
        before = copy.deepcopy(self.history)
        outcome = super().polled(poll, generation, pttl, namespaces)
        if outcome is Polled.MISSED:
            self.history = before
        return outcome


class AdoptsQuietly(Mutant):
    """Begins anew as if nothing had changed."""

    @override
    def polled(self, poll: Poll, generation: int | None, pttl: float, namespaces: Namespaces = None) -> Polled:
        before = copy.deepcopy(self.history)
        outcome = super().polled(poll, generation, pttl, namespaces)
        if outcome is Polled.ADOPTED:
            self.history = before
        return outcome


class TakesAnyLease(Mutant):
    """Believes a lease however long it is."""

    @override
    def _overlong(self, sent: float, pttl: float) -> bool:
        del sent, pttl
        return False


class ForgetsLongLeases(Mutant):
    """Believes a lease that was too long once it has run down."""

    @override
    def _overlong(self, sent: float, pttl: float) -> bool:
        del sent
        return pttl > self.lease + 0.001


class IgnoresTheClock(Mutant):
    """Believes leases of a clock that was set back."""

    @override
    def clock_set_back(self, now: float, pttl: float) -> Polled:
        del now, pttl
        return Polled.CLOCK_SET_BACK


interleavings = test_protocol_model.Model
puts = test_protocol_puts.Model
leases = test_protocol_leases.Model

CAUGHT_BY: dict[type[Mutant], type[RuleBasedStateMachine]] = {
    IgnoresStamps: interleavings,
    JudgesStampsFromBeyond: interleavings,
    CountsFromReceipt: leases,
    ExtendsWhileBehind: interleavings,
    ExtendsWithTheFirstMessage: interleavings,
    KeepsTrack: puts,
    PollsAlone: puts,
    BelievesOldPolls: puts,
    TrustsItself: interleavings,
    IgnoresGaps: interleavings,
    MissesQuietly: interleavings,
    AdoptsQuietly: interleavings,
    TakesAnyLease: leases,
    ForgetsLongLeases: leases,
    IgnoresTheClock: leases,
}


@pytest.mark.parametrize("mutant", CAUGHT_BY, ids=lambda mutant: mutant.__name__)
def test_a_rule_that_is_left_out_is_found_out(mutant: type[Mutant]) -> None:
    """The model that stands for the rule fails, within as many examples as the suite can afford."""

    def make_view(clock: Callable[[], float]) -> View:
        view = mutant(LEASE)
        view.clock = clock
        return view

    attributes: dict[str, Any] = {"make_view": staticmethod(make_view)}
    machine = type(mutant.__name__, (CAUGHT_BY[mutant],), attributes)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=1000,
                stateful_step_count=40,
                deadline=None,
                derandomize=True,
                database=None,
                phases=[Phase.generate],
                verbosity=Verbosity.quiet,
                suppress_health_check=list(HealthCheck),
            ),
        )
