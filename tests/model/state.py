"""A state of the small world, as values that hash: who knows what, what is under way, how long ago things were.

Times are whole ticks, counted from now: an age, or how long something will last. So a state that differs from another
in nothing but the hour is the same. Generations are numbered anew in each state, in their order, STRIDE apart: only
their order and their being equal tell anything.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple, TypeVar

from tests.model.lua import Key

T = TypeVar("T")

STRIDE = 8
"""Room between two generations for one that Redis, whose clock is behind, makes by adding one."""

A, B, ALL, RESYNC = 1, 2, 4, 8
"""What changed, as bits: a namespace, or everything, or everything because a listener begins."""

NAMES = {A: "a", B: "b"}


class Commit(NamedTuple):
    """A visible change of `namespace`. One that is not announced was made while a trigger was off for a moment."""

    namespace: int
    age: int
    announced: bool = True


class Message(NamedTuple):
    """A published bump."""

    previous: int
    generation: int
    changes: int


class Proof(NamedTuple):
    """A listener's proof under way: how long ago T0 was, on which server, and how far it has come."""

    age: int
    server: int
    fenced: bool = False
    looked: bool = False


class Listener(NamedTuple):
    """A listener: how many commits' notifications it has taken in, and its ledger.

    `server` is the one that it has talked to (-1: none yet), `audit` how often each namespace's triggers had been
    touched when it looked. `redis` is the server that its commands reach.
    """

    heard: int
    owed: int
    floor: int = 0
    server: int = -1
    audit: tuple[int, ...] = ()
    proof: Proof | tuple[()] = ()
    redis: int = 0


class Seen(NamedTuple):
    """A view, as it is between two calls. Namespaces are in the history by the generation of their latest change."""

    generation: int = 0
    valid_left: int = 0
    vouched: bool = False
    distrusted: bool = False
    everything: int = 0
    a: int = 0
    b: int = 0
    subscribed: bool = False
    lost_track: bool = True
    awaited: int = 0
    awaited_left: int = 0
    awaited_vouched: bool = False
    passed: tuple[int, ...] = ()
    """Those of the generations since the poll was sent that its answer can show."""


class Asked(NamedTuple):
    """A poll under way: its age, and whether the subscription is still the same.

    `answer` is what Redis said: the generation and the lease's rest.
    """

    age: int
    current: bool = True
    answer: tuple[int, int] | tuple[()] = ()


class Replica(NamedTuple):
    """A process: its view, its poll, and its own changes.

    `ahead` counts the polls that showed Redis behind. `put` is a change of its own that is committed and not yet
    announced; `owed` those that could not be; `own` the commits that its requests must show, as bits.
    """

    view: Seen
    poll: Asked | tuple[()] = ()
    ahead: int = 0
    put: int = 0
    owed: int = 0
    own: int = 0
    redis: int = 0


class State(NamedTuple):
    """The world.

    `servers` are the Redis servers that can be reached, the primary first; `lagging` is what its replica has, where
    that has stopped following. `visible` says, by generation, how many commits an entry that is stamped so is sure
    to show: as many as there were when a view first reached it. `faults` are those yet to come.
    """

    commits: tuple[Commit, ...]
    servers: tuple[Key, ...]
    lagging: Key | tuple[()]
    messages: tuple[Message, ...]
    listeners: tuple[Listener, ...]
    replicas: tuple[Replica, ...]
    visible: tuple[tuple[int, int], ...]
    faults: int


def top(state: State) -> int:
    """Return the newest generation that anybody knows of."""
    return max(_generations(state))


def _generations(state: State) -> Iterator[int]:
    yield 0
    for key in state.servers:
        yield key.generation
    if state.lagging:
        yield state.lagging.generation
    for message in state.messages:
        yield message.previous
        yield message.generation
    for listener in state.listeners:
        yield listener.floor
    for view, poll, *_ in state.replicas:
        yield from (view.generation, view.everything, view.a, view.b, view.awaited)
        yield from view.passed
        if poll and poll.answer:
            yield poll.answer[0]
    for stamp, _ in state.visible:
        yield stamp


def settled(state: State, most_commits: int) -> bool:
    """Tell whether nothing can be outdated any more, here or in any later state."""
    return len(state.commits) == most_commits and not state.visible


def canonical(
    state: State, most_commits: int, most_messages: int, *, others: bool = False, whole: bool = False
) -> State:
    """Return the one form of all states that differ in nothing that matters.

    With `others`, there are replicas beside those of the state, that load as soon as a generation is made. With
    `whole`, what does not matter to a view that follows its own rules is kept, to see whether it does.
    """
    least = min(replica.view.generation for replica in state.replicas)
    # What every view takes for old, no view takes in; and one that begins anew subscribes to later ones.
    messages = [message for message in state.messages if whole or message.generation > least]
    if len(messages) > 1:
        messages.sort(key=_newest)
    state = State(
        state.commits,
        state.servers,
        state.lagging,
        tuple(messages[-most_messages:]),
        state.listeners,
        tuple(_decided(replica, state.servers) for replica in state.replicas),
        state.visible,
        state.faults,
    )
    visible = _visible(state, most_commits, others=others, whole=whole)
    replicas = state.replicas
    if others and not whole:
        oldest = min([stamp for stamp, _ in visible[:1]] + [key.generation for key in _keys(state)], default=math.inf)
        replicas = tuple(_remembering(replica, oldest) for replica in replicas)
    state = State(
        tuple(_lasting(state, visible)) if state.commits else (),
        state.servers,
        state.lagging,
        state.messages,
        _sorted(state.listeners),
        replicas,
        visible,
        state.faults,
    )
    known = sorted(set(_generations(state)))
    if known[-1] != STRIDE * (len(known) - 1):
        state = _renumbered(state, {generation: STRIDE * rank for rank, generation in enumerate(known)})
    return state if len(replicas) == 1 else state._replace(replicas=_sorted(state.replicas))


def _sorted(items: tuple[T, ...]) -> tuple[T, ...]:
    return items if len(items) == 1 else tuple(sorted(items))  # type: ignore[type-var] # tuples that compare


def _keys(state: State) -> Iterator[Key]:
    """Yield the keys that there are, also the one that may come back."""
    for key in (*state.servers, *((state.lagging,) if state.lagging else ())):
        if key.generation:
            yield key


def _newest(message: Message) -> int:
    return message.generation


def _visible(state: State, most_commits: int, *, others: bool, whole: bool) -> tuple[tuple[int, int], ...]:
    visible = dict(state.visible)
    if others:
        reached = [key.generation for key in state.servers] + [message.generation for message in state.messages]
    else:
        reached = [replica.view.generation for replica in state.replicas]
    for generation in reached:
        if generation:
            visible.setdefault(generation, len(state.commits))
    if whole:
        return tuple(sorted(visible.items()))
    # Gone are those that every view drops, and those that show all there will ever be.
    dead = min(replica.view.everything for replica in state.replicas)
    left = sorted((stamp, count) for stamp, count in visible.items() if stamp >= dead and count < most_commits)
    if len(state.commits) == most_commits and not state.faults:
        left = [(stamp, count) for stamp, count in left if not _dropped(state, stamp, count)]
    return tuple(_worst(state, left))


def _dropped(state: State, stamp: int, count: int) -> bool:
    """Tell whether every view drops the entries of `stamp` that miss one of the commits from number `count` on."""
    missing = {commit.namespace for commit in state.commits[count:]}
    return all((view.a if namespace == A else view.b) > stamp for namespace in missing for view, *_ in state.replicas)


def _worst(state: State, visible: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield those that can be served to somebody, now or later, and are not the same as another that is worse."""
    if not visible:
        return
    generations = [replica.view.generation for replica in state.replicas]
    keys = [key.generation for key in _keys(state)]
    leads = {*keys, *(m.generation for m in state.messages)}
    leads |= {replica.poll.answer[0] for replica in state.replicas if replica.poll and replica.poll.answer}
    passes = [(key, math.inf) for key in keys] + [(m.previous, m.generation) for m in state.messages if m.previous]
    for index, (stamp, count) in enumerate(visible):
        if stamp > max(generations):
            # A view comes to it exactly, or passes over it with a message, or drops it.
            if stamp in leads or any(previous < stamp < generation for previous, generation in passes):
                yield stamp, count
        elif state.faults or not any(
            later <= min(generations) and fewer <= count for later, fewer in visible[index + 1 :]
        ):
            yield stamp, count


def _lasting(state: State, visible: tuple[tuple[int, int], ...]) -> Iterator[Commit]:
    """Yield the commits, without the age of those that no entry misses, nor the namespace that all have heard of."""
    least = min((count for _, count in visible), default=len(state.commits))
    heard = min(listener.heard for listener in state.listeners)
    for number, commit in enumerate(state.commits):
        if number >= least:
            yield commit
        else:
            yield Commit(A if number < heard and commit.announced else commit.namespace, 0, commit.announced)


def _remembering(replica: Replica, oldest: float) -> Replica:
    """Return a replica without the changes that affect none of the entries from `oldest` on."""
    view = replica.view
    if not (0 < view.a <= oldest or 0 < view.b <= oldest or 0 < view.everything <= oldest):
        return replica
    return replica._replace(
        view=view._replace(
            a=view.a if view.a > oldest else 0,
            b=view.b if view.b > oldest else 0,
            everything=view.everything if view.everything > oldest else 0,
        )
    )


def _decided(replica: Replica, servers: tuple[Key, ...]) -> Replica:
    """Return a replica without what cannot make a difference any more to what its poll will tell it."""
    poll, passed = replica.poll, replica.view.passed
    if not poll:
        if not passed:
            return replica
        passed = ()
    elif not poll.answer:
        passed = tuple(sorted({key.generation for key in servers}.intersection(passed)))
    else:
        generation, left = poll.answer
        passed = (generation,) if generation in passed else ()
        if not generation:
            poll = Asked(0, poll.current, (0, 0))
        elif left <= poll.age:
            poll = Asked(1, poll.current, (generation, 1))
    return replica._replace(view=replica.view._replace(passed=passed), poll=poll)


def _renumbered(state: State, new: dict[int, int]) -> State:
    return state._replace(
        servers=tuple(Key(new[key.generation], key.ends) for key in state.servers),
        lagging=Key(new[state.lagging.generation], state.lagging.ends) if state.lagging else (),
        messages=tuple(Message(new[m.previous], new[m.generation], m.changes) for m in state.messages),
        listeners=tuple(each._replace(floor=new[each.floor]) for each in state.listeners),
        replicas=tuple(
            each._replace(view=_renumbered_view(each.view, new), poll=_renumbered_poll(each.poll, new))
            for each in state.replicas
        ),
        visible=tuple((new[stamp], count) for stamp, count in state.visible),
    )


def _renumbered_view(view: Seen, new: dict[int, int]) -> Seen:
    return view._replace(
        generation=new[view.generation],
        everything=new[view.everything],
        a=new[view.a],
        b=new[view.b],
        awaited=new[view.awaited],
        passed=tuple(new[generation] for generation in view.passed),
    )


def _renumbered_poll(poll: Asked | tuple[()], new: dict[int, int]) -> Asked | tuple[()]:
    if not poll:
        return ()
    answer = (new[poll.answer[0]], poll.answer[1]) if poll.answer else ()
    return poll._replace(answer=answer)
