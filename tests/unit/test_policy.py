"""What is served though nothing proves it fresh, and how old an answer can be: the policies, without servers."""

from collections.abc import Callable

import pytest

from coherence.entry import Entry, etag_of
from coherence.events import Bypassed, Unproven
from coherence.loading import JITTER
from coherence.policy import PROVEN_ONLY, Policy, staleness_bound
from coherence.stale import StaleIfError
from tests.unit.test_cache import LEASE, OTHER, QUERY, TTL, World

LONGEST = TTL * (1 + JITTER)


@pytest.fixture
async def world() -> World:
    """A cache with the policy `ttl`, a valid view at generation 10, and one answer kept."""
    world = World()
    world.view.until_ttl = True
    world.poll(10)
    await world.get()
    return world


def bound(world: World, policy: Policy, *, failing: bool = False) -> float:
    """Return the metric's value."""
    return staleness_bound(world.view, policy, world.clock(), longest_ttl=world.l1.longest_ttl, failing=failing)


# -- ttl


async def test_with_ttl_what_is_kept_is_served_without_a_lease_and_marked(world: World) -> None:
    """It counts as a hit, and as one that nothing proves; with a lease it is as ever."""
    assert (await world.get()).unproven is None
    world.clock.advance(LEASE + 1)
    answer = await world.get()
    assert (answer.layer, answer.forward, answer.unproven) == ("l1", None, "ttl")
    assert world.seen(Unproven) == [Unproven("anomalies", "ttl")]
    assert world.loads == 1


async def test_with_ttl_the_ttl_ends_it_and_what_is_loaded_is_kept(world: World) -> None:
    """It goes on as a cache does that knows of TTLs alone; the database is spared."""
    world.clock.advance(LONGEST + 1)
    world.row = b"new"
    answer = await world.get()
    assert (answer.body, answer.layer, answer.stored) == (b"new", "db", True)
    assert (await world.get()).unproven == "ttl"
    assert world.loads == 2


async def test_with_ttl_a_change_that_is_known_ends_it(world: World) -> None:
    """Messages may come without a lease; what they tell is heeded, and a generation that a client knows of, too."""
    world.clock.advance(LEASE + 1)
    assert (await world.get(at_least=11)).reason == "request"
    world.change()
    answer = await world.get()
    assert (answer.body, answer.layer) == (b"new", "db")


@pytest.mark.parametrize("lose", [lambda world: world.view.distrust(), lambda world: world.change(None)])
async def test_with_ttl_an_unannounced_change_ends_it(world: World, lose: Callable[[World], None]) -> None:
    """A process that could not tell of its own change serves nothing from before it."""
    world.clock.advance(LEASE + 1)
    lose(world)
    world.row = b"new"
    assert (await world.get()).body == b"new"


async def test_with_ttl_nothing_is_served_of_what_never_had_a_lease() -> None:
    """A namespace of which no table is watched, and a process that has just begun."""
    world = World()
    world.view.until_ttl = True
    assert (await world.get()).reason == "no-lease"
    world.view.polled(world.view.poll(world.clock()), 10, LEASE, frozenset({"anomalies"}))
    world.clock.advance(LEASE + 1)
    assert (await world.get()).stored
    assert not (await world.get(OTHER)).stored
    assert world.seen(Bypassed)[-1] == Bypassed("transactions", "no-lease")


async def test_what_was_kept_without_a_lease_is_dropped_by_the_resync(world: World) -> None:
    """A listener that comes back tells that everything changed: nothing from the gap outlives it."""
    world.clock.advance(LONGEST + 1)
    await world.get()
    world.row = b"new"
    world.change(None)
    world.poll(11)
    answer = await world.get()
    assert (answer.body, answer.unproven) == (b"new", None)


# -- how old an answer can be


async def test_the_bound_is_the_time_since_the_last_proof(world: World) -> None:
    """It grows until a poll brings another, and is less than the lease for as long as there is one."""
    world.clock.advance(0.5)
    assert bound(world, PROVEN_ONLY) == pytest.approx(0.5)
    world.view.polled(world.view.poll(world.clock()), 10, LEASE - 0.2)
    assert bound(world, PROVEN_ONLY) == pytest.approx(0.2)
    world.clock.advance(LEASE - 0.21)
    assert bound(world, PROVEN_ONLY) == pytest.approx(LEASE - 0.01)


async def test_the_bound_is_nothing_where_the_cache_is_bypassed(world: World) -> None:
    """Answers are Postgres' own then; before the first lease, too."""
    world.view.until_ttl = False
    world.clock.advance(LEASE)
    assert bound(world, PROVEN_ONLY, failing=True) == 0
    assert bound(World(), Policy(until_ttl=True, stale_if_error=9), failing=True) == 0


async def test_with_ttl_the_bound_grows_to_the_longest_ttl(world: World) -> None:
    """No answer is older than its TTL, nor than the last proof."""
    policy = Policy(until_ttl=True)
    world.clock.advance(LEASE + 10)
    assert bound(world, policy) == pytest.approx(LEASE + 10)
    world.clock.advance(1000)
    assert TTL < bound(world, policy) <= LONGEST
    world.view.distrust()
    assert bound(world, policy) == 0


async def test_with_stale_if_error_the_bound_counts_while_loads_fail(world: World) -> None:
    """A database that answers makes every answer fresh."""
    policy = Policy(stale_if_error=30)
    world.clock.advance(LEASE + 10)
    assert bound(world, policy) == 0
    assert bound(world, policy, failing=True) == pytest.approx(LEASE + 10)
    world.clock.advance(1000)
    assert bound(world, policy, failing=True) == 30


async def test_a_poll_that_was_ahead_proves_when_it_is_caught_up_with(world: World) -> None:
    """Not before."""
    world.clock.advance(1.0)
    world.poll(11)
    assert bound(world, PROVEN_ONLY) == pytest.approx(1.0)
    world.change()
    assert bound(world, PROVEN_ONLY) == 0


# -- stale-if-error


class LastResort:
    """What is found of the one answer that is kept, loaded at the world's beginning."""

    def __init__(self, world: World, seconds: float = 30.0) -> None:
        self.stale = StaleIfError(
            seconds,
            view=world.view,
            redis_clock=world.redis_clock,
            l1=world.l1,
            l2=world.cache._loading._l2,
            clock=world.clock,
            observer=world.events.append,
        )

    async def finds(self, *, at_least: int = 0, within: float = 1e9) -> bool:
        """Tell whether there is an answer."""
        return await self.stale.find(QUERY, at_least=at_least, within=within) is not None


async def test_what_was_right_lately_stands_in(world: World) -> None:
    """Loaded long ago, its TTL over, and proven right within the seconds: then yes, and no longer."""
    for _ in range(100):
        world.clock.advance(LEASE)
        world.poll(10)
    resort = LastResort(world)
    world.clock.advance(29.5)
    answer = await resort.stale.find(QUERY, at_least=10, within=1e9)
    assert answer is not None
    assert (answer.body, answer.layer, answer.unproven) == (b"old", "l1", "stale-if-error")
    assert answer.ttl == pytest.approx(-29.5)
    assert answer.age == pytest.approx(100 * LEASE + 29.5)
    assert world.seen(Unproven) == [Unproven("anomalies", "stale-if-error")]
    world.clock.advance(0.6)
    assert not await resort.finds()


async def test_what_was_loaded_lately_stands_in(world: World) -> None:
    """Without a lease for long, by `ttl`: then its load says how old it can be."""
    world.clock.advance(LONGEST + 1000)
    await world.get()
    world.clock.advance(29.5)
    assert await LastResort(world).finds()
    world.clock.advance(0.6)
    assert not await LastResort(world).finds()


async def test_nothing_stands_in_where_a_change_is_known(world: World) -> None:
    """Nor where one could not be announced, or the client knows of a later one."""
    resort = LastResort(world)
    assert await resort.finds()
    assert not await resort.finds(at_least=11)
    world.view.distrust()
    assert not await resort.finds()
    world.view.trust()
    world.change()
    assert not await resort.finds()


async def test_who_asks_for_less_gets_less_and_nobody_gets_more(world: World) -> None:
    """A request may lower the bound, and not raise it; 0 is never."""
    world.clock.advance(LEASE + 8)
    assert await LastResort(world).finds(within=10)
    assert not await LastResort(world).finds(within=9.8)
    assert not await LastResort(world, seconds=9.8).finds(within=3600)
    assert not await LastResort(world, seconds=0).finds(within=3600)


async def test_another_queries_answer_does_not_stand_in(world: World) -> None:
    """A key is a hash; the parameters decide."""
    other = Entry(OTHER, 10, 0.0, TTL, etag_of(b"other"), b"other")
    world.l1.put(other, world.clock() + TTL)
    kept = world.l1.get(OTHER.key)
    assert kept is not None
    world.l1._kept[QUERY.key] = kept
    assert not await LastResort(world).finds()
