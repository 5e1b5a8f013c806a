"""When a lease may be given: the listener's books."""

import pytest

from coherence.changes import Bump, Change
from listener.ledger import Claim, Ledger
from listener.triggers import Audit, Watched

ANOMALIES = Watched("public.anomalies", "anomalies", None, None, "a1")
TRANSACTIONS = Watched("public.transactions", "transactions", None, None, "t1")
SOUND = Audit((ANOMALIES, TRANSACTIONS))


def touched(mark: str = "a2") -> Audit:
    """Return a sound look that differs from SOUND in the triggers of anomalies."""
    return Audit((Watched("public.anomalies", "anomalies", None, None, mark), TRANSACTIONS))


def broken(problem: str = "trigger is missing") -> Audit:
    """Return a look that finds a trigger of anomalies missing."""
    return Audit((Watched("public.anomalies", "anomalies", problem, "SELECT repair", "a2"), TRANSACTIONS))


def owed(ledger: Ledger) -> tuple[Change, ...]:
    """Return what is owed."""
    return ledger.owed


def bump(ledger: Ledger, generation: int = 10) -> tuple[Change, ...]:
    """Have Redis take what is owed, and return it."""
    changes = ledger.owed
    ledger.told(Bump(1, generation, changes, 0.0))
    return changes


@pytest.fixture
def ledger() -> Ledger:
    """The books of a listener that serves, all told."""
    books = Ledger()
    books.begin()
    books.audited(SOUND)
    assert bump(books) == (Change(None, "resync", 0),)
    return books


def test_nothing_owed_after_a_bump(ledger: Ledger) -> None:
    """Once told, nothing is owed, and the generation is the floor."""
    assert owed(ledger) == ()
    assert ledger.blind is None
    assert ledger.floor == 10


def test_what_is_heard_is_owed(ledger: Ledger) -> None:
    """Changes add up until they are told."""
    ledger.heard([Change("anomalies", "update", 2)])
    ledger.heard([Change("anomalies", "update", 3), Change("transactions", "insert")])
    assert bump(ledger) == (Change("anomalies", "update", 5), Change("transactions", "insert"))


def test_missed_means_everything(ledger: Ledger) -> None:
    """Whatever may have been missed, everything is owed, with the number of what was heard."""
    ledger.heard([Change("anomalies", "update", 2)])
    ledger.missed("redis")
    ledger.heard([Change("anomalies", "update")])
    assert bump(ledger) == (Change(None, "redis", 2), Change("anomalies", "update"))


def test_a_new_session_begins_with_everything(ledger: Ledger) -> None:
    """After a gap everything is owed; the triggers are looked at anew."""
    ledger.begin()
    assert owed(ledger) == (Change(None, "resync", 0),)
    ledger.audited(touched())
    assert owed(ledger) == (Change(None, "resync", 0),)


def test_same_triggers_owe_nothing(ledger: Ledger) -> None:
    """A look that finds what the last one found changes nothing."""
    ledger.audited(SOUND)
    assert owed(ledger) == ()


def test_touched_triggers_mean_that_namespace(ledger: Ledger) -> None:
    """Triggers that were off and on again may have let writes by unseen."""
    ledger.audited(touched())
    assert ledger.blind is None
    assert owed(ledger) == (Change("anomalies", "triggers", 0),)


def test_broken_triggers_blind_until_repaired(ledger: Ledger) -> None:
    """While a trigger is missing no lease may be given; after the repair the namespace is told first."""
    ledger.audited(broken())
    assert ledger.blind is not None
    bump(ledger)
    ledger.audited(broken())
    assert ledger.blind is not None
    assert owed(ledger) == ()
    ledger.audited(touched("a3"))
    assert not ledger.blind
    assert owed(ledger) == (Change("anomalies", "triggers", 0),)


def test_a_table_no_longer_watched_is_told(ledger: Ledger) -> None:
    """Unwatching a table ends what is known of its namespace."""
    ledger.audited(Audit((TRANSACTIONS,)))
    assert owed(ledger) == (Change("anomalies", "triggers", 0),)


def test_nothing_watched_blinds(ledger: Ledger) -> None:
    """Where nothing is watched nothing can be vouched for."""
    ledger.audited(Audit(()))
    assert ledger.blind is not None
    assert "no table is watched" in ledger.blind


def test_a_failed_look_blinds_and_forgets_nothing(ledger: Ledger) -> None:
    """A look that failed vouches for nothing; the next one is compared with the last that told something."""
    ledger.audited(Audit((), failure="no such view"))
    assert ledger.blind == "no such view"
    ledger.audited(SOUND)
    assert not ledger.blind
    assert owed(ledger) == ()
    ledger.audited(Audit((), failure="no such view"))
    ledger.audited(touched())
    assert owed(ledger) == (Change("anomalies", "triggers", 0),)


def test_a_first_look_after_the_resync_means_everything() -> None:
    """If the triggers could not be looked at when the session began, what they were like is unknown."""
    ledger = Ledger()
    ledger.begin()
    ledger.audited(Audit((), failure="no such view"))
    bump(ledger)
    ledger.audited(SOUND)
    assert owed(ledger) == (Change(None, "triggers", 0),)


def test_floor_never_falls(ledger: Ledger) -> None:
    """The floor is the highest generation ever seen, over sessions too."""
    ledger.seen(99)
    ledger.seen(5)
    ledger.begin()
    assert ledger.floor == 99


def test_problem_names_the_table_and_the_remedy() -> None:
    """An operator reads which table it is and what to run."""
    assert broken().problem == "public.anomalies (anomalies): trigger is missing; run SELECT repair"


def test_another_redis_server_may_have_lost_everything() -> None:
    """The first server is taken as it is; another one, or the same one started anew, has to be told everything."""
    books = Ledger()
    books.begin_proof(1, "a", 0.0)
    books.begin_proof(2, "a", 0.0)
    assert owed(books) == ()
    books.begin_proof(3, "b", 0.0)
    assert owed(books) == (Change(None, "redis", 0),)


def proven(ledger: Ledger) -> Ledger:
    """Return the books with a proof that began 0.5 s before 100.5."""
    ledger.begin_proof(7_000_000, "a", 100.0)
    ledger.fenced(())
    ledger.audited(SOUND)
    return ledger


def test_a_proof_allows_one_claim(ledger: Ledger) -> None:
    """A claim goes back to the moment before the proof, and is good for one lease."""
    claim = proven(ledger).claim(100.5)
    assert claim == Claim(7_000_000, 0.5, 10, frozenset({"anomalies", "transactions"}), "a")
    assert ledger.claim(100.5) is None


def test_no_proof_no_claim(ledger: Ledger) -> None:
    """The time first, then the fence, then the look: anything else proves nothing."""
    ledger.fenced(())
    ledger.audited(SOUND)
    assert ledger.claim(1.0) is None, "no time"
    ledger.begin_proof(1, "a", 0.0)
    ledger.audited(SOUND)
    assert ledger.claim(1.0) is None, "no fence"
    ledger.begin_proof(1, "a", 0.0)
    ledger.audited(SOUND)
    ledger.fenced(())
    assert ledger.claim(1.0) is None, "a look before the fence"


def test_no_claim_while_something_is_owed_or_unseen(ledger: Ledger) -> None:
    """What was heard has to be told first, and the triggers have to be in place."""
    proven(ledger).heard([Change("anomalies", "update")])
    assert ledger.claim(100.5) is None
    bump(ledger)
    proven(ledger).audited(broken())
    bump(ledger)
    assert ledger.claim(100.5) is None


def test_a_new_session_needs_a_new_proof(ledger: Ledger) -> None:
    """What an earlier session proved says nothing of what came between the two."""
    proven(ledger).begin()
    bump(ledger)
    assert ledger.claim(100.5) is None
