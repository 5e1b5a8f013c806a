"""What one process knows of the changes, and how long it may rely on it. Sans-IO: the heart of the protocol."""

import math
from collections import deque
from dataclasses import dataclass, field
from enum import Enum

from coherence.changes import Bump
from coherence.history import History
from coherence.query import Query
from coherence.rows import Page

MOST_PASSED = 4096
"""Generations that are kept in mind while a poll is under way."""


class Polled(Enum):
    """What a poll showed."""

    IN_STEP = "in step"
    ADOPTED = "adopted"
    """We had lost track, and begin anew from here: everything changed."""
    OUTDATED = "outdated"
    """The poll was sent before we lost track: it says nothing of what we missed."""
    UNSUBSCRIBED = "unsubscribed"
    """No message reaches us, so nobody who makes a change waits until we know of it (invariant I6)."""
    BEHIND = "behind"
    """Redis is ahead of us: messages are under way, or lost."""
    MISSED = "missed"
    """Redis was ahead at the last poll already, and its message never came: everything changed."""
    AHEAD = "ahead"
    """Redis lost what it had told us, or it is not the one whose messages reach us."""
    NO_LEASE = "no lease"
    LEASE_TOO_LONG = "lease too long"
    """A lease that we were not promised: the listener has a larger bound than we, or Redis' clock was set back."""
    CLOCK_SET_BACK = "clock set back"
    FIRST_LEASE = "first lease"
    """The lease that we met when we first asked: the clock may have been set back since it was given."""


class Received(Enum):
    """What a message did."""

    APPLIED = "applied"
    GAP = "gap"
    """It does not follow what we know: everything changed."""
    OLD = "old"


@dataclass(frozen=True, slots=True)
class Poll:
    """A poll that has been sent: when (our monotonic clock), and under which subscription."""

    sent: float
    subscription: int


@dataclass(slots=True)
class View:
    """One process' generation, its validity, and the recent changes.

    Times are seconds on the process' own monotonic clock, but for `pttl`, which is a duration. `lease` is the longest
    time that a lease can last.

    While `valid(now)`, every commit that was visible before now - lease has been applied here. Proof: the lease that
    a poll saw ends `lease` after a moment T0, and whatever was visible at T0 was bumped before that lease was given,
    so it is in the generation that the same poll saw. The poll counts only once our own generation has reached
    that one by applying each change up to it. A lease's rest is counted from the moment the poll was *sent*.
    """

    lease: float
    until_ttl: bool = False
    """The policy for a lease that is lost: what no known change affects is served until its TTL ends."""
    by_rows: bool = True
    """Whether changed rows are judged one by one; otherwise any change is one of the whole namespace."""
    generation: int = 0
    """The newest generation that we have applied; 0 before the first."""
    valid_until: float = -math.inf
    proven: float = -math.inf
    """The latest moment of which it is proven that every commit which was visible then has been applied here."""
    vouched: frozenset[str] | None = frozenset()
    """The namespaces whose every change is announced, as the lease says; None: each."""
    distrusted: bool = False
    """We made a change and could not announce it: no generation that we know of is sure to be later than it."""

    history: History = field(default_factory=History)
    _subscribed: bool = False
    _subscription: int = 0
    _lost_track: bool = True
    """We may have missed messages: no message can be applied before a poll has said where Redis is."""
    _awaited: int = 0
    """A generation that a poll showed us before its message came."""
    _awaited_until: float = -math.inf
    _awaited_vouched: frozenset[str] | None = frozenset()
    _passed: deque[int] = field(default_factory=lambda: deque(maxlen=MOST_PASSED))
    """The generations that we have had since the latest poll was sent."""
    _leases_suspect_until: float = -math.inf
    _overlong_until: float = -math.inf
    """When a lease ends that was too long when we saw it. It is no better for having run down."""

    # -- reading

    def serves(self, namespace: str, now: float) -> bool:
        """Tell whether what is kept of `namespace`, if that ever had a lease, may be served at `now`, proven or not."""
        served = self.valid(now) or (self.until_ttl and not self.distrusted)
        return served and (self.vouched is None or namespace in self.vouched)

    def proves(self, namespace: str, now: float) -> bool:
        """Tell whether what we know of `namespace` may be relied on at `now`."""
        # As `valid`, without the call: each hit asks this.
        return now < self.valid_until and not self.distrusted and (self.vouched is None or namespace in self.vouched)

    def valid(self, now: float) -> bool:
        """Tell whether what we know may be relied on at `now`."""
        return now < self.valid_until and not self.distrusted

    def unaffected(self, query: Query, stamp: int, page: Page | None = None) -> bool:
        """Tell whether no known change after `stamp` affects the answer to `query` (I1, together with `valid`).

        `page` is the answer's place in its list, where it is known. A stamp from beyond our own generation is none
        that we can judge, and so counts as affected (I4).
        """
        return stamp <= self.generation and self.history.affecting(query, page, stamp) is None

    # -- messages

    def receive(self, bump: Bump) -> Received:
        """Apply a message of the backplane, or a bump of our own."""
        if bump.generation <= self.generation:
            return Received.OLD
        # A bump that passes over a generation that a poll has shown comes from a Redis which has lost that one.
        forked = 0 < self._awaited < bump.generation
        follows = bump.previous == self.generation and not self._lost_track and not forked
        self._advance(bump.generation)
        if not follows:
            self.history.change_everything(bump.generation)
            return Received.GAP
        for change in bump.changes:
            if change.namespace is None:
                self.history.change_everything(bump.generation)
            elif change.key is not None:
                self.history.change_key(change.namespace, bump.generation, change.key)
            elif change.rows is None or not self.by_rows:
                self.history.change_namespace(change.namespace, bump.generation)
            else:
                self.history.change_rows(change.namespace, bump.generation, change.rows)
        return Received.APPLIED

    def subscribed(self) -> None:
        """Messages reach us from here on (again)."""
        self._subscribed = True
        self.lose_track()

    def unsubscribed(self) -> None:
        """Messages do not reach us any more: trust nothing before they do, and a poll after that."""
        self._subscribed = False
        self.lose_track()

    def lose_track(self) -> None:
        """Messages may have been lost (a new subscription, an unreadable message): trust nothing before a poll."""
        self._lost_track = True
        self._subscription += 1
        self.revoke()

    def revoke(self) -> None:
        """Stop relying on the lease, until a poll brings another."""
        self.valid_until = self._awaited_until = -math.inf

    def distrust(self) -> None:
        """We committed a change and could not announce it: believe nothing before `trust`."""
        self.distrusted = True

    def trust(self) -> None:
        """What we had to announce is announced, and received here: end `distrust`."""
        self.distrusted = False

    # -- polls

    def poll(self, now: float) -> Poll:
        """Return what is to be handed to `polled` with the answer. One poll is under way at a time."""
        self._passed.clear()
        self._passed.append(self.generation)
        return Poll(now, self._subscription)

    def polled(
        self, poll: Poll, generation: int | None, pttl: float, namespaces: frozenset[str] | None = None
    ) -> Polled:
        """Take the answer to `poll`: Redis' generation (None: no readable one), its TTL in seconds, and what it is for.

        The TTL must have been read no later than the generation: it must not be a later renewal's.
        """
        refusal = self._refusal(poll, generation, pttl)
        if generation is None or refusal is not None:
            self.revoke()
            return refusal or Polled.NO_LEASE
        if poll.subscription != self._subscription:
            return Polled.OUTDATED
        if not self._subscribed:
            return Polled.UNSUBSCRIBED
        until = poll.sent + pttl
        if namespaces is not None:
            # What is announced no more is not to be relied on from now; what is, only once its changes are here.
            self.vouched = namespaces if self.vouched is None else self.vouched & namespaces
        if generation <= self.generation and not self._lost_track:
            self._awaited = 0
            self._rely(until, namespaces)
            return Polled.IN_STEP
        if self._lost_track or self._awaited > 0:
            outcome = Polled.ADOPTED if self._lost_track else Polled.MISSED
            self._awaited = 0
            self._advance(max(generation, self.generation))
            self.history.change_everything(self.generation)
            self._lost_track = False
            self._rely(until, namespaces)
            return outcome
        self._awaited, self._awaited_until, self._awaited_vouched = generation, until, namespaces
        return Polled.BEHIND

    def _refusal(self, poll: Poll, generation: int | None, pttl: float) -> Polled | None:
        if generation is None or pttl <= 0:
            self._overlong_until = -math.inf
            return Polled.NO_LEASE
        if self._overlong(poll.sent, pttl):
            return Polled.LEASE_TOO_LONG
        if poll.sent < self._leases_suspect_until:
            return Polled.CLOCK_SET_BACK
        # Behind us is right only what we have come through since: else what the answer vouches for is not what we have.
        return Polled.AHEAD if generation < self.generation and generation not in self._passed else None

    def _overlong(self, sent: float, pttl: float) -> bool:
        """Tell whether a lease is longer than we were promised, or was when we saw it before."""
        ends = sent + pttl
        if pttl > self.lease + 0.001:
            self._overlong_until = ends
        elif ends < self._overlong_until - self.lease or sent > self._overlong_until + self.lease:
            # It ends at another time, or the one that we saw has ended: this is another.
            self._overlong_until = -math.inf
        return self._overlong_until > -math.inf

    def clock_set_back(self, now: float, pttl: float) -> Polled:
        """Redis' clock went back: any lease from before then may last too long, by no more than a lease.

        One that lasts longer still, such as one with the rest `pttl` now, is refused by `polled`, which knows how long
        a lease can be, to its end.
        """
        self._overlong(now, pttl)
        self._leases_suspect_until = now + 2 * self.lease
        self.revoke()
        return Polled.CLOCK_SET_BACK

    def _advance(self, generation: int) -> None:
        self.generation = generation
        self._passed.append(generation)
        if 0 < self._awaited <= self.generation:
            # The poll that was ahead of us is caught up with: what it proved, it proves now.
            if self._awaited_until > self.valid_until:
                self._rely(self._awaited_until, self._awaited_vouched)
            self._awaited = 0

    def _rely(self, until: float, namespaces: frozenset[str] | None) -> None:
        self.valid_until, self.vouched = until, namespaces
        # A lease is given for `lease` from the moment for which it is proof, and a poll counts it from no later.
        self.proven = max(self.proven, until - self.lease)
