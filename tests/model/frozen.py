"""The product's view and ledger, made from a state and made into one again. Now is tick 0."""

import math
from collections import deque
from functools import lru_cache

from coherence.changes import Bump, Change
from coherence.history import History
from coherence.view import MOST_PASSED, Poll, View
from listener.ledger import Ledger, Proof
from listener.triggers import Audit, Watched
from tests.model.state import ALL, NAMES, RESYNC, A, Asked, B, Listener, Message, Replica, Seen
from tests.model.state import Proof as FrozenProof

LEASE = 2
"""Ticks that a lease lasts."""

_SUBSCRIPTION = 7


def thaw_view(seen: Seen) -> View:
    """Return a view that is as `seen`."""
    history = History(everything=seen.everything)
    for namespace, latest in ((NAMES[A], seen.a), (NAMES[B], seen.b)):
        if latest:
            history.change_namespace(namespace, latest)
    return View(
        LEASE,
        generation=seen.generation,
        valid_until=seen.valid_left or -math.inf,
        vouched=None if seen.vouched else frozenset(),
        distrusted=seen.distrusted,
        history=history,
        _subscribed=seen.subscribed,
        _subscription=_SUBSCRIPTION,
        _lost_track=seen.lost_track,
        _awaited=seen.awaited,
        _awaited_until=seen.awaited_left or -math.inf,
        _awaited_vouched=None if seen.awaited_vouched else frozenset(),
        _passed=deque(seen.passed, maxlen=MOST_PASSED),
    )


def freeze_view(view: View) -> Seen:
    """Return what a view is like."""
    everything = view.history.everything
    latest = {name: kept.latest for name, kept in view.history._namespaces.items() if kept.latest > everything}
    return Seen(
        generation=view.generation,
        valid_left=_left(view.valid_until),
        vouched=view.vouched is None,
        distrusted=view.distrusted,
        everything=everything,
        a=latest.get(NAMES[A], 0),
        b=latest.get(NAMES[B], 0),
        subscribed=view._subscribed,
        lost_track=view._lost_track,
        awaited=view._awaited,
        awaited_left=_left(view._awaited_until) if view._awaited else 0,
        awaited_vouched=view._awaited_vouched is None and view._awaited > 0,
        passed=tuple(view._passed),
    )


def _left(until: float) -> int:
    return int(until) if until > 0 else 0


def thaw_poll(asked: Asked) -> Poll:
    """Return a poll that is as `asked`."""
    return Poll(-asked.age, _SUBSCRIPTION if asked.current else _SUBSCRIPTION - 1)


def refreeze(replica: Replica, view: View) -> Replica:
    """Return the replica with its view as it is now; its poll may be none of this subscription any more."""
    poll = replica.poll
    if poll and view._subscription != _SUBSCRIPTION:
        poll = poll._replace(current=False)
    return replica._replace(view=freeze_view(view), poll=poll)


def thaw_message(message: Message) -> Bump:
    """Return a message as a view takes it."""
    return Bump(message.previous, message.generation, changes_of(message.changes), 0.0)


@lru_cache
def changes_of(mask: int) -> tuple[Change, ...]:
    """Return the changes that bits stand for."""
    named = {ALL: Change(None, "redis"), RESYNC: Change(None, "resync")}
    named |= {bit: Change(name, "update") for bit, name in NAMES.items()}
    return tuple(change for bit, change in named.items() if mask & bit)


def bits_of(changes: tuple[Change, ...]) -> int:
    """Return the bits that stand for changes."""
    mask = 0
    for change in changes:
        if change.namespace is None:
            mask |= RESYNC if change.cause == "resync" else ALL
        else:
            mask |= A if change.namespace == NAMES[A] else B
    return mask & (ALL | RESYNC) if mask >= ALL else mask


@lru_cache
def audit_of(touched: tuple[int, ...]) -> Audit:
    """Return the look that finds each namespace's triggers touched so often."""
    marks = zip(NAMES.values(), touched, strict=True)
    return Audit(tuple(Watched(name, name, None, None, str(times)) for name, times in marks))


def thaw_ledger(listener: Listener) -> Ledger:
    """Return a ledger that is as a listener's."""
    ledger = Ledger()
    ledger.owed = changes_of(listener.owed)
    ledger.floor = listener.floor
    ledger.audit = audit_of(listener.audit) if listener.audit else None
    ledger._server = None if listener.server < 0 else str(listener.server)
    if listener.proof:
        age, server, fenced, looked = listener.proof
        ledger._proof = Proof(-age, str(server), -age, fenced, looked)
    return ledger


def refreeze_ledger(listener: Listener, ledger: Ledger) -> Listener:
    """Return the listener with its ledger as it is now."""
    proof = ledger._proof
    audit = ledger.audit
    return listener._replace(
        owed=bits_of(ledger.owed),
        floor=ledger.floor,
        server=-1 if ledger._server is None else int(ledger._server),
        audit=tuple(int(table.fingerprint) for table in audit.tables) if audit else (),
        proof=FrozenProof(-proof.t0_us, int(proof.server), proof.fenced, proof.looked) if proof else (),
    )
