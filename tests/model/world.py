"""How large the small world is, and what its steps share."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from tests.model import lua
from tests.model.frozen import LEASE
from tests.model.state import STRIDE, Listener, Message, Replica, Seen, State, canonical, top

T = TypeVar("T")

Step = tuple[str, State]
"""What somebody does, and the world after it."""

KINDS = frozenset({"flush", "failover", "clock", "subscription", "listener", "replica", "answer"})
"""What may break: Redis loses its key, its last writes, or its time; somebody is started anew; an answer is lost."""


@dataclass(frozen=True, slots=True)
class World:
    """What there is, and what may happen: each at most so often, or not at all."""

    replicas: int = 2
    others: bool = False
    """Whether there are any number of replicas beside these, of which nothing is known but that they fill caches."""
    whole: bool = False
    """Whether states are told apart that differ in what a view that follows its own rules takes no notice of."""
    listeners: int = 2
    """The one that begins, and successors that begin at any time, whatever has become of it."""
    commits: int = 2
    messages: int = 2
    """Messages under way; older ones are lost for good."""
    faults: int = 1
    """How often something breaks, of the `kinds` that may."""
    kinds: frozenset[str] = KINDS
    puts: bool = False
    """Whether replicas change rows, too."""
    puts_elsewhere: bool = False
    """Whether those beside them do."""
    unannounced: bool = False
    """Whether a trigger may be off while a change is made."""
    split: bool = False
    """Whether an old primary stays reachable after a failover."""


def beginning(world: World) -> State:
    """Return a world in which all is well: a lease, a listener that has told all, views that are in step."""
    key = lua.Key(STRIDE, LEASE)
    view = Seen(STRIDE, LEASE, vouched=True, everything=STRIDE, subscribed=True, lost_track=False)
    listener = Listener(heard=0, owed=0, floor=STRIDE, server=0, audit=(0, 0))
    return canonical(
        State((), (key,), (), (), (listener,), (Replica(view),) * world.replicas, (), world.faults),
        world.commits,
        world.messages,
        others=world.others,
        whole=world.whole,
    )


def put(items: tuple[T, ...], index: int, item: T) -> tuple[T, ...]:
    """Return the tuple with another item at `index`."""
    return (*items[:index], item, *items[index + 1 :])


def with_fault(world: World, state: State, kind: str) -> State | None:
    """Return the state with one fault fewer to come, None where there is none of that kind."""
    return state._replace(faults=state.faults - 1) if state.faults and kind in world.kinds else None


def bumps(world: World, state: State, server: int, floor: int, changes: int) -> Iterator[tuple[State, Message]]:
    """Yield the states after a bump, and its message: with Redis' clock right, and with one that is behind."""
    for after, fresh in clocks(world, state):
        bumped = lua.bump(state.servers[server], floor, fresh)
        message = Message(bumped.previous, bumped.generation, changes)
        yield (
            after._replace(
                servers=put(state.servers, server, bumped.key),
                messages=(*state.messages, message),
            ),
            message,
        )


def clocks(world: World, state: State) -> Iterator[tuple[State, int]]:
    """Yield what Redis' clock may give a generation to be above: all others, or, for a fault, none."""
    yield state, top(state)
    later = with_fault(world, state, "clock")
    if later is not None:
        yield later, 0
