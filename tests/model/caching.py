"""What a replica does, one step at a time; its view is the product's."""

from collections.abc import Iterator

from coherence.view import Polled, View
from tests.model.frozen import refreeze, thaw_message, thaw_poll, thaw_view
from tests.model.state import ALL, A, Asked, B, Commit, Replica, State
from tests.model.world import Step, World, bumps, put, with_fault

PENDING = 4
"""By how many bits a commit that is not announced yet is set apart from one that is, or that is owed."""


def steps(world: World, state: State) -> Iterator[Step]:
    """Yield what each replica can do next."""
    for index, replica in enumerate(state.replicas):
        if replica not in state.replicas[:index]:
            name = f"replica {index + 1}"
            for step in (_subscribe, _receive, _send, _serve, _take, _commit, _announce):
                yield from ((f"{name} {did}", after) for did, after in step(world, state, index, replica))


def _with(state: State, index: int, replica: Replica) -> State:
    return state._replace(replicas=put(state.replicas, index, replica))


def _subscribe(world: World, state: State, index: int, replica: Replica) -> Iterator[Step]:
    """It has a subscription; or loses it."""
    view = thaw_view(replica.view)
    if not replica.view.subscribed:
        view.subscribed()
        yield "subscribes", _with(state, index, refreeze(replica, view))
        return
    later = with_fault(world, state, "subscription")
    if later is not None:
        view.unsubscribed()
        yield "loses its subscription", _with(later, index, refreeze(replica, view))


def _receive(_: World, state: State, index: int, replica: Replica) -> Iterator[Step]:
    """A message arrives: in turn or not, late, once more, or instead of one that never does."""
    if not replica.view.subscribed:
        return
    for message in state.messages:
        view = thaw_view(replica.view)
        received = view.receive(thaw_message(message))
        after = refreeze(replica, view)
        if after != replica:
            did = f"receives {message.previous} -> {message.generation}: {received.value}"
            yield did, _with(state, index, after)


def _send(_: World, state: State, index: int, replica: Replica) -> Iterator[Step]:
    """It sends a poll."""
    if not replica.poll:
        view = thaw_view(replica.view)
        view.poll(0)
        yield "polls", _with(state, index, refreeze(replica, view)._replace(poll=Asked(0)))


def _serve(_: World, state: State, index: int, replica: Replica) -> Iterator[Step]:
    """Redis answers the poll."""
    if replica.poll and not replica.poll.answer:
        key = state.servers[replica.redis]
        answered = replica.poll._replace(answer=(key.generation, key.ends))
        yield f"has Redis answer {key.generation}, for {key.ends}", _with(state, index, replica._replace(poll=answered))


def _take(world: World, state: State, index: int, replica: Replica) -> Iterator[Step]:
    """It takes the answer; twice ahead of Redis it raises Redis, and it announces what it could not before."""
    if not replica.poll or not replica.poll.answer:
        return
    view = thaw_view(replica.view)
    generation, left = replica.poll.answer
    outcome = view.polled(thaw_poll(replica.poll), generation or None, left)
    ahead = replica.ahead + 1 if outcome is Polled.AHEAD else 0
    after = refreeze(replica._replace(poll=()), view)
    did = f"takes the answer: {outcome.value}"
    if ahead > 1:
        yield from _announced(world, state, index, after._replace(ahead=1), ALL, did)
    elif replica.owed:
        yield from _announced(world, state, index, after._replace(ahead=ahead), 0, did)
    else:
        yield did, _with(state, index, after._replace(ahead=ahead))


def _commit(world: World, state: State, index: int, replica: Replica) -> Iterator[Step]:
    """It commits a change, which it has yet to announce."""
    if world.puts and len(state.commits) < world.commits and not replica.put:
        for namespace in (A, B) if state.commits else (A,):
            commits = (*state.commits, Commit(namespace, 0))
            after = replica._replace(put=namespace, own=replica.own | 1 << len(state.commits) + PENDING)
            yield "commits", _with(state._replace(commits=commits), index, after)


def _announce(world: World, state: State, index: int, replica: Replica) -> Iterator[Step]:
    """It announces its change, or cannot."""
    if replica.put:
        after = replica._replace(put=0, own=(replica.own | replica.own >> PENDING) & 2**PENDING - 1)
        yield from _announced(world, state, index, after, replica.put, "has its change")


def _announced(world: World, state: State, index: int, replica: Replica, changes: int, did: str) -> Iterator[Step]:
    view = thaw_view(replica.view)
    for after, message in bumps(world, state, replica.redis, view.generation, changes | replica.owed):
        view = thaw_view(replica.view)
        view.receive(thaw_message(message))
        view.trust()
        yield f"{did}, announced", _with(after, index, refreeze(replica._replace(owed=0), view))
        later = with_fault(world, after, "answer")
        if later is not None:
            yield f"{did}, announced and not answered", _with(later, index, _owing(replica, changes))
    later = with_fault(world, state, "answer")
    if later is not None:
        yield f"{did}, not announced", _with(later, index, _owing(replica, changes))


def _owing(replica: Replica, changes: int) -> Replica:
    view: View = thaw_view(replica.view)
    view.distrust()
    return refreeze(replica._replace(owed=replica.owed | changes), view)
