"""A change is told when every process has spoken of it, or when it has waited long enough."""

from coherence.changes import Bump, Change
from coherence.passing import PATIENCE_SECONDS, Passing, Witnesses
from coherence.presence import Applied, Presence
from coherence.rows import RowChange

ROWS = (RowChange(None, {"a": "x"}), RowChange({"a": "x"}, None))


def bump(generation: int, *changes: Change) -> Passing:
    """Return a change on its way."""
    return Passing.of(Bump(generation - 1, generation, changes, made_at=1000.5))


def api(pid: int, *applied: int) -> Presence:
    """Return what an API process says that has applied these generations, in a millisecond each."""
    return Presence(
        process=f"p{pid}",
        kind="api",
        host="h",
        pid=pid,
        version="1",
        up=1,
        state="serving",
        generation=max(applied, default=0),
        lease_left=1,
        bound=2,
        applied=tuple(Applied(generation=each, milliseconds=1.0) for each in applied),
    )


def test_what_is_told_of_a_bump() -> None:
    """Its namespaces and causes, once each; how many rows, unless more than rows changed."""
    rows = bump(7, Change("anomalies", "update", 2, ROWS))
    assert (rows.rows, rows.notifications, rows.namespaces, rows.causes) == (2, 2, ("anomalies",), ("update",))
    more = bump(8, Change("anomalies", "update", 1, ROWS), Change(None, "resync", 0))
    assert (more.rows, more.namespaces, more.causes) == (None, ("anomalies", "everything"), ("update", "resync"))


def test_it_waits_for_every_process_that_is_there() -> None:
    """In the order of the generations, too."""
    witnesses = Witnesses()
    for generation in (7, 8):
        witnesses.see(bump(generation, Change("anomalies", "update")), now=0)
    assert list(witnesses.told(1)) == []
    witnesses.hear([api(1, 7, 8), api(2, 7)])
    assert [(each.generation, each.milliseconds) for each in witnesses.told(1)] == [(7, {"h:1": 1.0, "h:2": 1.0})]
    assert witnesses.waiting
    witnesses.hear([api(1, 7, 8), api(2, 7, 8)])
    assert [each.generation for each in witnesses.told(1)] == [8]
    assert not witnesses.waiting


def test_it_does_not_wait_for_ever() -> None:
    """Who has not spoken in time is named, and shown with a question mark."""
    witnesses = Witnesses()
    witnesses.see(bump(7, Change("anomalies", "update", 1, ROWS)), now=0)
    witnesses.hear([api(1, 7), api(2)])
    (told,) = witnesses.told(PATIENCE_SECONDS)
    assert told.milliseconds == {"h:1": 1.0, "h:2": None}
    assert told.as_line().endswith(".500  anomalies  2 rows  update  h:1 1.0 ms  h:2 ?")
    assert told.as_document()["milliseconds"] == {"h:1": 1.0, "h:2": None}


def test_a_purge_is_of_one_answer() -> None:
    """No row changed."""
    passing = bump(7, Change("anomalies", "purge", 0, key="anomalies:x"))
    assert passing.rows == 0
    assert "one answer  purge" in passing.as_line()
