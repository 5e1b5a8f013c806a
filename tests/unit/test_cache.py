"""get_or_load over a view and an L1, without Redis: which answer is served, which kept, which load is shared."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

import pytest
from redis.asyncio import Redis

from coherence.answer import Answer
from coherence.cache import Cache
from coherence.changes import Bump, Change
from coherence.clock import RedisClock
from coherence.coder import Coder
from coherence.entry import Entry, etag_of
from coherence.events import Bypassed, Event, Hit, Joined, Loaded, Missed, Shed
from coherence.gate import Gate, Overloaded
from coherence.keys import Names
from coherence.l1 import L1
from coherence.l2 import L2
from coherence.loading import JITTER
from coherence.query import Query
from coherence.view import Polled, View
from tests.support.clocks import HandClock

QUERY = Query("anomalies", {"limit": 1})
OTHER = Query("transactions", {"limit": 1})
LEASE = 1.9
TTL = 60.0

E = TypeVar("E")


class World:
    """One process' cache, a Redis that is not there, and a database that answers when it is told to."""

    def __init__(
        self, *, l1_bytes: int = 1_000_000, places: int = 100, patience: float = 30.0, refresh_ahead: float = 0.0
    ) -> None:
        self.clock = HandClock()
        self.view = View(LEASE)
        self.view.subscribed()
        self.redis_clock = RedisClock()
        self.l1 = L1(l1_bytes)
        self.events: list[Event] = []
        l2 = L2(Redis(), Names(), self.events.append, 0.1, Coder((), self.l1, self.events.append))
        l2.suspended = True
        self.cache = Cache(
            view=self.view,
            redis_clock=self.redis_clock,
            l1=self.l1,
            l2=l2,
            gate=Gate(places, patience),
            clock=self.clock,
            observer=self.events.append,
            refresh_ahead=refresh_ahead,
        )
        self.row = b"old"
        self.loads = 0
        self.selects: list[asyncio.Event] = []
        """One for each load that has read its rows, and waits for it before it answers."""

    def seen(self, kind: type[E]) -> list[E]:
        """Return the events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    def poll(self, generation: int) -> Polled:
        """Poll; Redis answers at once, with a whole lease."""
        now = self.clock()
        self.redis_clock.observe(now, now, now + 1_700_000_000)
        return self.view.polled(self.view.poll(now), generation, LEASE)

    def change(self, namespace: str | None = "anomalies", row: bytes = b"new") -> None:
        """Commit a row, and let the message of it arrive."""
        self.row = row
        generation = self.view.generation
        self.view.receive(Bump(generation, generation + 1, (Change(namespace, "update"),), 0.0))

    async def load(self) -> bytes:
        """Read the row."""
        self.loads += 1
        return self.row

    async def slow_load(self) -> bytes:
        """Read the row, and be held up on the way back."""
        row = await self.load()
        answer = asyncio.Event()
        self.selects.append(answer)
        await answer.wait()
        return row

    async def get(self, query: Query = QUERY, *, bypass: str | None = None, at_least: int = 0) -> Answer:
        """Ask, with a load that answers at once."""
        return await self.cache.get_or_load(query, self.load, ttl=TTL, bypass=bypass, at_least=at_least)

    async def begin(self, query: Query = QUERY, *, bypass: str | None = None) -> asyncio.Task[Answer]:
        """Ask, with a load that is held up, and let it read."""
        task = asyncio.create_task(self.cache.get_or_load(query, self.slow_load, ttl=TTL, bypass=bypass))
        await settle()
        return task


async def settle() -> None:
    """Let every task run on to where it waits."""
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
async def make_world() -> AsyncIterator[Callable[..., World]]:
    """Make a world whose view is valid at generation 10."""
    worlds: list[World] = []

    def make(*, valid: bool = True, **options: float) -> World:
        world = World(**options)  # type: ignore[arg-type] # whole numbers are floats here
        worlds.append(world)
        if valid:
            world.poll(10)
        return world

    yield make
    for world in worlds:
        await world.cache.close()


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """A world whose view is valid at generation 10."""
    return make_world()


# -- what is served


async def test_a_miss_is_loaded_kept_and_then_hit(world: World) -> None:
    """The second request is answered from memory, with what is left of the TTL."""
    first = await world.get()
    assert first == Answer(b"old", etag_of(b"old"), "db", "uri-miss", stored=True)
    world.clock.advance(1.0)
    second = await world.get()
    assert (second.body, second.etag, second.layer, second.forward) == (b"old", first.etag, "l1", None)
    assert second.ttl is not None
    assert TTL - 1 <= second.ttl <= TTL * (1 + JITTER) - 1
    assert world.loads == 1
    assert world.seen(Missed) == [Missed("anomalies", stale=False)]
    assert world.seen(Hit) == [Hit("anomalies", "l1")]


async def test_a_change_makes_what_was_kept_stale(world: World) -> None:
    """The next request loads anew, and says that it found something outdated."""
    await world.get()
    world.change()
    answer = await world.get()
    assert (answer.body, answer.layer, answer.forward, answer.stored) == (b"new", "db", "stale", True)
    assert world.seen(Missed)[-1] == Missed("anomalies", stale=True)
    assert (await world.get()).layer == "l1"


async def test_a_change_of_another_namespace_costs_nothing(world: World) -> None:
    """What it does not affect stays."""
    await world.get()
    world.change("transactions")
    assert (await world.get()).layer == "l1"


async def test_an_entry_ends_with_its_ttl(world: World) -> None:
    """Past it, and however valid the view, it is loaded again; at most the jitter later than asked for."""
    await world.get()
    world.clock.advance(TTL - 0.001)
    world.poll(10)
    assert (await world.get()).layer == "l1"
    world.clock.advance(TTL * JITTER + 0.002)
    world.poll(10)
    assert (await world.get()).layer == "db"


async def test_ends_are_spread(world: World) -> None:
    """What is stored together does not end together, and nothing ends before its time."""
    ends = set()
    for limit in range(50):
        query = Query("anomalies", {"limit": limit})
        await world.get(query)
        kept = world.l1.get(query.key)
        assert kept is not None
        assert TTL <= kept.ends - world.clock() <= TTL * (1 + JITTER)
        ends.add(kept.ends)
    assert len(ends) > 25


async def test_a_key_that_two_queries_share_serves_neither_the_others_answer(world: World) -> None:
    """A collision of digests is a miss."""
    await world.get()
    twin = Query("anomalies", {"limit": 2})
    object.__setattr__(twin, "key", QUERY.key)
    world.row = b"twin"
    assert (await world.get(twin)).body == b"twin"


async def test_what_may_not_be_kept_is_not(make_world: Callable[..., World]) -> None:
    """An answer larger than the cache, or without a TTL, is said not to be stored."""
    small = make_world(l1_bytes=100)
    assert not (await small.get()).stored
    assert len(small.l1) == 0
    world = make_world()
    answer = await world.cache.get_or_load(QUERY, world.load, ttl=0.0)
    assert not answer.stored
    assert len(world.l1) == 0


# -- without a view


async def test_without_a_view_every_request_loads(make_world: Callable[..., World]) -> None:
    """Nothing is served from the caches and nothing kept; the reason is told."""
    world = make_world(valid=False)
    for _ in range(2):
        answer = await world.get()
        assert (answer.layer, answer.forward, answer.reason, answer.stored) == ("db", "bypass", "no-lease", False)
    assert world.loads == 2
    assert len(world.l1) == 0
    assert world.seen(Bypassed) == [Bypassed("anomalies", "no-lease")] * 2


@pytest.mark.parametrize(
    "lose",
    [
        lambda world: world.clock.advance(LEASE),
        lambda world: world.view.lose_track(),
        lambda world: world.view.unsubscribed(),
        lambda world: world.view.distrust(),
        lambda world: world.view.clock_set_back(world.clock(), 1.0),
        lambda world: world.view.polled(world.view.poll(world.clock()), None, 0.0),
    ],
    ids=["lease ran out", "track lost", "unsubscribed", "distrust", "clock set back", "no key"],
)
async def test_what_is_kept_is_not_served_without_a_view(world: World, lose: Callable[[World], None]) -> None:
    """However the view ends, the very next request goes to the database."""
    await world.get()
    lose(world)
    world.row = b"new"
    answer = await world.get()
    assert (answer.body, answer.reason) == (b"new", "no-lease")


async def test_what_was_kept_is_served_again_if_nothing_changed(world: World) -> None:
    """A view that is back at the same generation proves that the entry is still good."""
    await world.get()
    world.view.lose_track()
    await world.get()
    world.poll(10)
    assert (await world.get()).layer == "l1"


async def test_a_bypass_that_would_wait_in_vain_is_refused_before_it_begins(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is counted as shed; who wants what is being loaded already may share that."""
    waiting = await world.begin(bypass="no-lease")
    monkeypatch.setattr(Gate, "hopeless", True)
    with pytest.raises(Overloaded):
        await world.get(OTHER, bypass="no-lease")
    assert world.seen(Shed) == [Shed("transactions")]
    assert world.loads == 1
    world.selects[0].set()
    await waiting


async def test_a_bypass_asks_no_cache_and_leaves_it_as_it_is(world: World) -> None:
    """Who must read fresh does; what is kept for the others stays."""
    await world.get()
    world.row = b"new"
    answer = await world.get(bypass="admin")
    assert (answer.body, answer.forward, answer.reason, answer.stored) == (b"new", "bypass", "admin", False)
    assert (await world.get()).body == b"old"


async def test_a_request_that_knows_of_a_newer_generation_is_not_answered_from_an_older_view(world: World) -> None:
    """It goes to the database until this process has caught up."""
    await world.get()
    world.row = b"new"
    behind = await world.get(at_least=11)
    assert (behind.body, behind.reason) == (b"new", "request")
    world.change()
    assert (await world.get(at_least=11)).layer == "db"
    assert (await world.get(at_least=11)).layer == "l1"


# -- what passes while a load is under way


async def test_a_load_that_a_change_overtakes_is_not_kept(world: World) -> None:
    """It read before the commit: its own request gets it, no later one does."""
    late = await world.begin()
    world.change()
    world.selects[0].set()
    answer = await late
    assert (answer.body, answer.stored) == (b"old", False)
    assert len(world.l1) == 0
    assert (await world.get()).body == b"new"


async def test_a_load_that_outlives_the_view_is_not_kept(world: World) -> None:
    """Changes may have passed unheard."""
    late = await world.begin()
    world.clock.advance(LEASE)
    world.selects[0].set()
    assert not (await late).stored
    assert len(world.l1) == 0


async def test_a_load_across_a_gap_is_not_kept(world: World) -> None:
    """The view was lost and found while it ran: what passed meanwhile counts as everything."""
    late = await world.begin()
    world.view.lose_track()
    assert world.poll(11) is Polled.ADOPTED
    world.selects[0].set()
    assert not (await late).stored


async def test_a_load_is_kept_across_a_change_that_does_not_affect_it(world: World) -> None:
    """Other namespaces may change while it runs."""
    late = await world.begin()
    world.change("transactions")
    world.selects[0].set()
    assert (await late).stored
    assert (await world.get()).layer == "l1"


async def test_a_load_that_waited_for_its_place_across_a_change_is_kept(make_world: Callable[..., World]) -> None:
    """It read after the change, and is stamped so: the stamp is taken when the load begins."""
    world = make_world(places=1)
    await world.begin(OTHER)
    waiting = await world.begin()
    world.change()
    world.selects[0].set()
    await settle()
    world.selects[1].set()
    answer = await waiting
    assert (answer.body, answer.stored) == (b"new", True)
    assert (await world.get()).layer == "l1"


async def test_a_late_write_to_the_cache_is_harmless(world: World) -> None:
    """An entry that arrives with an old stamp, over a newer one, is not served."""
    world.change()
    await world.get()
    world.l1.put(Entry(QUERY, 10, 0.0, TTL, etag_of(b"old"), b"old"), ends=world.clock() + TTL)
    assert (await world.get()).body == b"new"


async def test_an_entry_that_came_just_before_the_lease_ended_is_not_served_after_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis' entry was judged in time, and the process came to answer only later: asked again after each wait."""
    entry = Entry(QUERY, 10, world.redis_clock.at(world.clock()), TTL, etag_of(b"old"), b"old")

    async def get(_: L2, __: Query) -> Entry:
        # Runs after the flight has landed, and before whoever waits for it.
        asyncio.get_running_loop().call_soon(world.clock.advance, LEASE)
        return entry

    monkeypatch.setattr(L2, "get", get)
    answer = await world.get()
    assert (answer.layer, answer.reason, answer.unproven) == ("db", "no-lease", None)
    assert world.seen(Hit) == []


async def test_an_entry_from_the_future_is_not_served(world: World) -> None:
    """A stamp that this view has not reached is none that it can judge."""
    world.l1.put(Entry(QUERY, 11, 0.0, TTL, etag_of(b"odd"), b"odd"), ends=world.clock() + TTL)
    assert (await world.get()).body == b"old"


# -- who shares a load


async def test_a_hundred_requests_for_a_cold_key_make_one_load(world: World) -> None:
    """All get its bytes; one of them is not collapsed."""
    requests = [await world.begin() for _ in range(100)]
    assert len(world.selects) == 1
    world.selects[0].set()
    answers = await asyncio.gather(*requests)
    assert {answer.body for answer in answers} == {b"old"}
    assert [answer.collapsed for answer in answers].count(False) == 1
    assert len(world.seen(Joined)) == 99
    assert len(world.seen(Loaded)) == 1


async def test_a_request_after_a_change_does_not_join_a_load_from_before(world: World) -> None:
    """It begins a load of its own, which later requests join; the early one gets what it read."""
    early = await world.begin()
    world.change()
    late = await world.begin()
    later = await world.begin()
    assert len(world.selects) == 2
    for select in world.selects:
        select.set()
    assert ((await early).body, (await late).body, (await later).body) == (b"old", b"new", b"new")
    assert (await later).collapsed


async def test_a_request_after_a_change_of_another_namespace_joins(world: World) -> None:
    """The load is as good as a new one."""
    early = await world.begin()
    world.change("transactions")
    late = await world.begin()
    world.selects[0].set()
    assert (await late).collapsed
    assert (await early).body == (await late).body


async def test_a_request_with_a_view_does_not_join_a_load_from_before_a_gap(world: World) -> None:
    """A load that began under a view that was lost since may have read before changes that were missed."""
    early = await world.begin()
    world.view.lose_track()
    world.row = b"new"
    world.poll(11)
    late = await world.begin()
    for select in world.selects:
        select.set()
    assert (await late).body == b"new"
    assert (await early).body == b"old"


@pytest.mark.parametrize("bypass", ["admin", None], ids=["asked for", "no lease"])
async def test_a_bypass_joins_no_load_that_has_begun(make_world: Callable[..., World], bypass: str | None) -> None:
    """Nobody knows what has changed since it read: only a load of its own is sure to see it."""
    world = make_world(valid=bypass is not None)
    early = await world.begin(bypass=bypass)
    world.row = b"new"
    late = await world.begin(bypass=bypass)
    assert len(world.selects) == 2
    for select in world.selects:
        select.set()
    assert ((await early).body, (await late).body) == (b"old", b"new")


async def test_a_bypass_joins_no_cached_load_nor_the_other_way_round(world: World) -> None:
    """Who must read fresh and who need not do not share."""
    cached = await world.begin()
    world.row = b"new"
    bypassing = await world.begin(bypass="admin")
    again = await world.begin()
    assert len(world.selects) == 2
    for select in world.selects:
        select.set()
    assert (await bypassing).body == b"new"
    assert (await cached).body == (await again).body == b"old"


async def test_bypassing_requests_that_wait_for_a_place_share_the_load_that_waits(
    make_world: Callable[..., World],
) -> None:
    """Without a view and with a full database a crowd makes one load more, not one each; it begins after them all."""
    world = make_world(valid=False, places=1)
    early = await world.begin()
    crowd = [await world.begin() for _ in range(50)]
    assert world.loads == 1
    world.row = b"new"
    world.selects[0].set()
    await settle()
    assert world.loads == 2
    world.selects[1].set()
    assert (await early).body == b"old"
    assert {answer.body for answer in await asyncio.gather(*crowd)} == {b"new"}
    assert world.loads == 2


@pytest.mark.parametrize("bypass", ["admin", None])
async def test_a_cancelled_leader_does_not_fail_its_followers(
    make_world: Callable[..., World], bypass: str | None
) -> None:
    """A client that hangs up takes nobody with it."""
    world = make_world(places=1)
    holder = await world.begin(OTHER)
    leader = await world.begin(bypass=bypass)
    follower = await world.begin(bypass=bypass)
    leader.cancel()
    await settle()
    world.selects[0].set()
    await settle()
    world.selects[1].set()
    assert (await follower).body == b"old"
    assert leader.cancelled()
    assert world.loads == 2
    await holder


# -- errors and limits


async def test_what_a_load_raises_reaches_all_who_wait_and_is_not_kept(world: World) -> None:
    """The error passes through as it is; the next request tries again."""

    async def fail() -> bytes:
        await asyncio.sleep(0)
        raise ConnectionError("database gone")

    outcomes: list[Answer | BaseException] = await asyncio.gather(
        *(world.cache.get_or_load(QUERY, fail, ttl=TTL) for _ in range(3)), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [ConnectionError] * 3
    assert [event.outcome for event in world.seen(Loaded)] == ["error"]
    assert (await world.get()).body == b"old"


async def test_loads_are_bounded_and_what_waits_too_long_is_shed(make_world: Callable[..., World]) -> None:
    """Past its patience a miss is Overloaded, with and without a view; what is in memory is answered as ever."""
    world = make_world(places=1, patience=0.02)
    await world.get()
    await world.begin(OTHER)

    async def shed(asked: Awaitable[Answer]) -> None:
        with pytest.raises(Overloaded):
            await asked

    await shed(world.get(Query("anomalies", {"limit": 2})))
    await shed(world.get(bypass="admin"))
    assert len(world.seen(Shed)) == 2
    assert (await world.get()).layer == "l1"


async def test_closing_ends_the_loads_under_way(world: World) -> None:
    """At the end nothing is left running."""
    requests = [await world.begin(), await world.begin(bypass="admin")]
    await world.cache.close()
    outcomes = await asyncio.gather(*requests, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError] * 2


@pytest.mark.parametrize("reading", range(1, 6))
async def test_a_process_that_stands_still_while_it_decides_gives_nothing_unproven(world: World, reading: int) -> None:
    """Whichever look at the clock is the first after the lease's end: an answer is a proven hit, or the database's."""
    await world.get()
    looks = 0
    now = world.clock

    def clock() -> float:
        nonlocal looks
        looks += 1
        return now() + (LEASE if looks >= reading else 0.0)

    world.cache._clock = clock
    answer = await world.get()
    assert answer.unproven is None
    assert answer.layer in ("l1", "db")
