"""What the audit makes of a hit that it looks at again, and how it picks and paces itself; without servers."""

import asyncio
import random

import pytest

from coherence.audit import Judge, Outcome, Reading, Sample
from coherence.auditor import LEAST_REST_SECONDS, Auditor, Sampler
from coherence.cache import Cache
from coherence.changes import Bump, Change
from coherence.entry import Entry, etag_of
from coherence.events import AuditDropped, Audited, Event, Hit
from coherence.gate import Gate, Unavailable
from coherence.query import Query
from coherence.rows import Equals, Page, RowChange, Scope
from coherence.timing import Timing
from coherence.view import View
from service.journal import Journal
from tests.support.clocks import HandClock
from tests.support.waiting import eventually
from tests.unit.test_cache import QUERY, World

TIMING = Timing.from_bound(2.0)
LISTED = Query("anomalies", {"limit": 2, "status": "NEW"}, Scope((Equals("status", "NEW"),), descending="score"))


class Deployment:
    """A view at generation 10, an answer that was loaded under it, and a judge of hits of that."""

    def __init__(self, query: Query = QUERY) -> None:
        self.clock = HandClock()
        self.view = View(TIMING.lease)
        self.view.subscribed()
        self.prove(10)
        self.judge = Judge(self.view, TIMING.bound, margin=0.1, patience=4.0)
        self.entry = Entry(query, 10, 0.0, 60.0, etag_of(b"old"), b"old", Page(9, 5, full=True))

    def sample(self) -> Sample:
        """Return a hit of now."""
        return Sample(self.entry, "l1", self.clock(), self.view.generation, self.view.proven)

    def prove(self, generation: int) -> None:
        """Poll a lease that was given this moment."""
        self.view.polled(self.view.poll(self.clock()), generation, TIMING.lease)

    def change(self, *changes: Change) -> None:
        """Let a message arrive."""
        generation = self.view.generation
        self.view.receive(Bump(generation, generation + 1, changes or (Change("anomalies", "update"),), 0.0))

    def read(self, body: bytes | None = b"new") -> Reading:
        """Read the database, which takes a while."""
        self.clock.advance(0.01)
        return Reading(body, self.clock())


@pytest.fixture
def deployment() -> Deployment:
    """The usual one."""
    return Deployment()


def test_an_answer_that_is_the_same_was_right(deployment: Deployment) -> None:
    """Whatever has changed since, or not."""
    sample = deployment.sample()
    assert deployment.judge.decide(sample, deployment.read(b"old"), deployment.clock()) is Outcome.SAME


@pytest.mark.parametrize("now", [b"new", None], ids=["another", "gone"])
def test_a_difference_is_a_violation_once_the_proof_covers_it(deployment: Deployment, now: bytes | None) -> None:
    """Not before: until then the change may be on its way."""
    sample, reading = deployment.sample(), deployment.read(now)
    assert deployment.judge.decide(sample, reading, deployment.clock()) is None
    deployment.clock.advance(0.05)
    deployment.prove(10)
    assert deployment.judge.decide(sample, reading, deployment.clock()) is None, "the margin for clocks"
    deployment.clock.advance(0.1)
    deployment.prove(10)
    assert deployment.judge.decide(sample, reading, deployment.clock()) is Outcome.VIOLATION


def test_a_change_that_is_told_in_time_explains_a_difference(deployment: Deployment) -> None:
    """It was in flight when the answer was given, which is no violation."""
    sample, reading = deployment.sample(), deployment.read()
    deployment.change()
    deployment.clock.advance(0.5)
    deployment.prove(11)
    assert deployment.judge.decide(sample, reading, deployment.clock()) is Outcome.CHANGED


def test_a_change_that_is_told_too_late_does_not(deployment: Deployment) -> None:
    """The proof that should have included it came first; whoever looks at that moment sees it."""
    sample, reading = deployment.sample(), deployment.read()
    deployment.clock.advance(0.5)
    deployment.prove(10)
    assert deployment.judge.decide(sample, reading, deployment.clock()) is Outcome.VIOLATION
    deployment.change()


def test_a_change_that_does_not_affect_the_answer_explains_nothing() -> None:
    """A change of another namespace, and of a row that spares the answer: a row judged wrongly is found like this."""
    deployment = Deployment(LISTED)
    sample, reading = deployment.sample(), deployment.read()
    spared = RowChange({"status": "CONFIRMED", "score": 7}, {"status": "DISMISSED", "score": 7})
    deployment.change(Change("transactions", "update"), Change("anomalies", "update", rows=(spared,)))
    deployment.clock.advance(0.5)
    deployment.prove(11)
    assert deployment.judge.decide(sample, reading, deployment.clock()) is Outcome.VIOLATION
    facts = deployment.judge.find(sample, reading, Outcome.VIOLATION, deployment.clock()).facts
    assert facts["judged"] == [
        {
            "generation": 11,
            "why": "neither the old row nor the new one matches the query",
            "old": spared.old,
            "new": spared.new,
        }
    ]


def test_without_a_lease_nothing_is_decided(deployment: Deployment) -> None:
    """It may come back in time; after twice the bound it is given up."""
    sample, reading = deployment.sample(), deployment.read()
    deployment.view.revoke()
    deployment.clock.advance(3.9)
    assert deployment.judge.decide(sample, reading, deployment.clock()) is None
    deployment.clock.advance(0.2)
    assert deployment.judge.decide(sample, reading, deployment.clock()) is Outcome.UNDECIDED


def test_a_namespace_that_is_vouched_for_no_more_decides_nothing(deployment: Deployment) -> None:
    """Its table is watched no longer: nothing of it is served, and nothing is promised."""
    sample, reading = deployment.sample(), deployment.read()
    deployment.clock.advance(0.5)
    deployment.view.polled(deployment.view.poll(deployment.clock()), 10, TIMING.lease, frozenset({"transactions"}))
    assert deployment.judge.decide(sample, reading, deployment.clock()) is Outcome.UNDECIDED


def test_a_lost_track_explains_a_difference(deployment: Deployment) -> None:
    """Everything counts as changed then, and was dropped."""
    sample, reading = deployment.sample(), deployment.read()
    deployment.view.lose_track()
    deployment.clock.advance(0.5)
    deployment.prove(11)
    assert deployment.judge.decide(sample, reading, deployment.clock()) is Outcome.CHANGED


def test_a_finding_says_all_that_is_needed(deployment: Deployment) -> None:
    """The query, what proved the answer fresh when it was given, and what both sides say."""
    sample, reading = deployment.sample(), deployment.read()
    facts = deployment.judge.find(sample, reading, Outcome.VIOLATION, deployment.clock()).facts
    expected = {
        "namespace": "anomalies",
        "query": '{"limit":1}',
        "key": QUERY.key,
        "layer": "l1",
        "stamp": 10,
        "generation_served": 10,
        "generation_now": 10,
        "etag_served": etag_of(b"old"),
        "etag_now": etag_of(b"new"),
        "proof_age_served": 0.0,
        "bound": 2.0,
        "history": "no change after the stamp affects it",
    }
    assert {name: facts[name] for name in expected} == expected


# -- picking


@pytest.mark.parametrize("rate", [0.001, 0.1, 0.9, 1.0])
def test_hits_are_picked_at_the_rate(rate: float) -> None:
    """Each as likely as any other."""
    random.seed(1)
    deployment = Deployment()
    taken: list[Sample] = []
    sampler = Sampler(rate, taken.append, view=deployment.view, clock=deployment.clock)
    hits = round(2000 / rate)
    for _ in range(hits):
        sampler.hit(deployment.entry, "l1")
    assert len(taken) == pytest.approx(2000, rel=0.1)


async def test_hits_are_told_to_the_sampler_and_only_proven_ones() -> None:
    """Not misses, and not what a policy serves without a proof."""
    world = World()
    world.view.until_ttl = True
    taken: list[Sample] = []
    world.cache._witness = Sampler(1.0, taken.append, view=world.view, clock=world.clock)
    assert isinstance(world.cache, Cache)
    world.poll(10)
    await world.get()
    assert not taken
    await world.get()
    assert [(sample.layer, sample.entry.body, sample.generation) for sample in taken] == [("l1", b"old", 10)]
    assert world.cache.peek(QUERY) is not None
    assert len(taken) == 2
    world.clock.advance(5)
    assert world.cache.peek(QUERY) is None
    assert (await world.get()).unproven == "ttl"
    assert len(taken) == 2
    assert len(world.seen(Hit)) == 2


# -- pacing


class Reader:
    """An auditor, a database that it reads, and what it reports."""

    def __init__(self, *, places: int = 2) -> None:
        self.deployment = Deployment()
        self.gate = Gate(places, 0.1)
        self.body: bytes | None = b"old"
        self.reads = 0
        self.fails = False
        self.events: list[Event] = []
        view, clock = self.deployment.view, self.deployment.clock
        self.auditor = Auditor(view, TIMING, self.read, gate=self.gate, clock=clock, observer=self.events.append)

    async def read(self, query: Query) -> bytes | None:
        """Read the database."""
        assert query == QUERY
        self.reads += 1
        if self.fails:
            raise Unavailable
        return self.body

    @property
    def outcomes(self) -> list[Outcome]:
        """What it has reported."""
        return [event.finding.outcome for event in self.events if isinstance(event, Audited)]


async def test_a_hit_is_read_again_in_a_place_of_the_gate() -> None:
    """And found right."""
    reader = Reader()
    await reader.auditor.look(reader.deployment.sample())
    assert reader.outcomes == [Outcome.SAME]


async def test_a_database_that_does_not_answer_is_reported() -> None:
    """It is no fault of the cache."""
    reader = Reader()
    reader.fails = True
    await reader.auditor.look(reader.deployment.sample())
    assert reader.outcomes == [Outcome.FAILED]


async def test_nothing_is_read_while_requests_need_the_places() -> None:
    """The sample is dropped, and counted."""
    reader = Reader(places=1)
    async with reader.gate.place():
        await reader.auditor.look(reader.deployment.sample())
    assert reader.events == [AuditDropped("anomalies")]
    assert reader.reads == 0


async def test_the_newest_sample_is_the_next_and_the_others_are_dropped() -> None:
    """One at a time, with a rest after each."""
    reader = Reader()
    task = asyncio.create_task(reader.auditor.run())
    for _ in range(50):
        reader.auditor.offer(reader.deployment.sample())
    await eventually(lambda: reader.outcomes, within=20)
    assert reader.reads == 1
    assert reader.events.count(AuditDropped("anomalies")) == 49
    began = asyncio.get_running_loop().time()
    reader.auditor.offer(reader.deployment.sample())
    await eventually(lambda: len(reader.outcomes) == 2, within=20)
    assert asyncio.get_running_loop().time() - began >= LEAST_REST_SECONDS / 2
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_violation_is_one_log_line_with_its_facts(capsys: pytest.CaptureFixture[str]) -> None:
    """What is right leaves none."""
    reader, journal = Reader(), Journal()
    reader.body = b"new"
    reader.deployment.prove(10)

    async def prove() -> None:
        await eventually(lambda: reader.reads, within=20)
        reader.deployment.clock.advance(1.0)
        reader.deployment.prove(10)

    await asyncio.gather(reader.auditor.look(reader.deployment.sample()), prove())
    assert reader.outcomes == [Outcome.VIOLATION]
    for event in reader.events:
        journal(event)
    (line,) = capsys.readouterr().out.splitlines()
    assert "audit violation" in line
    assert QUERY.key in line
