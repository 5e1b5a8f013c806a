"""What L1 may answer at once, without asking anybody: as get_or_load decides, and nothing that has more to it."""

from dataclasses import replace

import pytest

from coherence.audit import Sample
from coherence.auditor import Sampler
from coherence.changes import Bump, Change
from coherence.events import Hit, Judged
from coherence.keys import Scalar
from coherence.query import Query
from coherence.rows import Equals, RowChange, Scope
from tests.unit.test_cache import LEASE, OTHER, QUERY, World

SCOPED = Query("anomalies", {"status": "NEW"}, Scope((Equals("status", "NEW"),)))


@pytest.fixture
async def world() -> World:
    """A cache with a valid view at generation 10, and an answer kept to QUERY and SCOPED."""
    world = World()
    world.poll(10)
    await world.get()
    await world.get(SCOPED)
    world.events.clear()
    return world


def rows_changed(world: World, **values: Scalar) -> None:
    """Let the message of a changed row arrive, which was and is so."""
    generation = world.view.generation
    change = Change("anomalies", "update", rows=(RowChange(values, values),))
    world.view.receive(Bump(generation, generation + 1, (change,), 0.0))


async def test_it_is_what_a_hit_would_be(world: World) -> None:
    """The same answer, the same time left; it is no hit before somebody makes one of it."""
    found = world.cache.peek(QUERY)
    assert world.seen(Hit) == []
    answer = await world.get()
    assert found is not None
    assert (found[0], found[1]) == (answer.kept, answer.ttl)


async def test_what_is_not_kept_or_has_ended_is_not_there(world: World) -> None:
    """Nor is what is due to be refreshed, nor an answer to another query under the same key."""
    assert world.cache.peek(OTHER) is None
    kept = world.l1.get(QUERY.key)
    assert kept is not None
    kept.refresh_at = world.clock() + 5
    assert world.cache.peek(QUERY) is not None
    world.clock.advance(5)
    world.poll(10)
    assert world.cache.peek(QUERY) is None
    kept.refresh_at = kept.ends
    assert world.cache.peek(QUERY) is not None
    kept.entry = replace(kept.entry, query=SCOPED)
    assert world.cache.peek(QUERY) is None


async def test_without_proof_nothing_is_there(world: World) -> None:
    """Whatever may be served unproven: a lease that has ended, a namespace not vouched for, a generation to come."""
    assert world.cache.peek(QUERY, at_least=10) is not None
    assert world.cache.peek(QUERY, at_least=11) is None
    world.view.vouched = frozenset({"transactions"})
    assert world.cache.peek(QUERY) is None
    world.view.vouched = None
    world.view.until_ttl = True
    world.clock.advance(LEASE + 1)
    assert world.cache.peek(QUERY) is None
    world.poll(10)
    assert world.cache.peek(QUERY) is not None


async def test_a_change_that_affects_an_answer_ends_it(world: World) -> None:
    """It is left to get_or_load to tell of that, once; one that spares it is told of at once, and no more."""
    rows_changed(world, status="CONFIRMED")
    for _ in range(2):
        assert world.cache.peek(SCOPED) is not None
    assert world.seen(Judged) == [Judged("anomalies", spared=True)]
    rows_changed(world, status="NEW")
    assert world.cache.peek(SCOPED) is None
    assert world.seen(Judged) == [Judged("anomalies", spared=True)]
    assert (await world.get(SCOPED)).forward == "stale"
    assert world.seen(Judged) == [Judged("anomalies", spared=True), Judged("anomalies", spared=False)]


async def test_the_audit_is_told_of_what_is_served(world: World) -> None:
    """As of any other hit."""
    samples: list[Sample] = []
    world.cache._witness = Sampler(1.0, samples.append, view=world.view, clock=world.clock)
    assert world.cache.peek(OTHER) is None
    assert world.cache.peek(QUERY) is not None
    assert [(sample.entry.query, sample.layer) for sample in samples] == [(QUERY, "l1")]
