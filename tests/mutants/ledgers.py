"""Listeners whose books are weaker in one point."""

from dataclasses import replace
from typing import Any

from listener import ledger as books
from listener.ledger import Claim, Ledger
from tests.mutants.mutant import Catalogue, test, world

LEDGERS = Catalogue()

_LEDGER = test("unit/test_listener_ledger.py")


@LEDGERS.instead_of(Ledger, "fenced", world("one commit"))
def proves_without_a_fence(fenced: Any, ledger: Ledger, changes: object) -> None:
    """No fence: vouches for what it happens to have heard."""
    del changes
    fenced(ledger, ())


@LEDGERS.instead_of(Ledger, "audited", _LEDGER)
def looks_before_the_fence(audited: Any, ledger: Ledger, audit: Any) -> None:
    """Takes a look at the triggers from before the last of the changes."""
    if ledger._proof is not None:
        ledger._proof.fenced = True
    audited(ledger, audit)


@LEDGERS.instead_of(Ledger, "claim", world("one commit"), _LEDGER)
def vouches_while_it_owes(claim: Any, ledger: Ledger, now: float) -> Claim | None:
    """Asks for a lease before it has told what it heard."""
    owed, ledger.owed = ledger.owed, ()
    claimed: Claim | None = claim(ledger, now)
    ledger.owed = owed
    return claimed


@LEDGERS.instead_of(Ledger, "claim", _LEDGER)
def vouches_blindly(claim: Any, ledger: Ledger, now: float) -> Claim | None:
    """Asks for a lease though a trigger is missing."""
    ledger._blind = None
    claimed: Claim | None = claim(ledger, now)
    return claimed


@LEDGERS.instead_of(Ledger, "claim", world("one commit"))
def claims_from_now_on(claim: Any, ledger: Ledger, now: float) -> Claim | None:
    """Counts the lease from the end of the proof, not from its beginning."""
    claimed: Claim | None = claim(ledger, now)
    return claimed and replace(claimed, t0_us=claimed.t0_us + int(claimed.age), age=0.0)


@LEDGERS.instead_of(books, "difference", world("a trigger that is off for a moment"), _LEDGER)
def compares_no_triggers(_: Any, *audits: object) -> tuple[()]:
    """Does not notice that a trigger was off for a moment."""
    del audits
    return ()


@LEDGERS.instead_of(Ledger, "begin_proof", _LEDGER)
def takes_any_server(begin_proof: Any, ledger: Ledger, t0_us: int, server: str, now: float) -> None:
    """Does not compare the run of the Redis server with the one before."""
    ledger._server = server
    begin_proof(ledger, t0_us, server, now)


@LEDGERS.instead_of(Ledger, "begin", _LEDGER)
def begins_without_a_resync(begin: Any, ledger: Ledger) -> None:
    """Begins to hear without telling that everything may have changed."""
    begin(ledger)
    ledger.owed = ()


@LEDGERS.instead_of(Ledger, "missed", world("one fault: listener"), _LEDGER)
def forgets_what_it_missed(_: Any, ledger: Ledger, cause: str) -> None:
    """Takes what Redis did not answer for told, and what came before its session for known."""
    del cause
    ledger.owed = ()


@LEDGERS.instead_of(Ledger, "seen", _LEDGER)
def keeps_no_floor(_: Any, ledger: Ledger, generation: int) -> None:
    """Does not remember how far Redis was."""
    del ledger, generation
