"""What happens to everybody: time, other writers, and what breaks."""

from collections.abc import Callable, Iterator

from tests.model import lua
from tests.model.frozen import LEASE
from tests.model.listening import begun
from tests.model.lua import Key
from tests.model.state import A, Asked, B, Commit, Listener, Replica, Seen, State
from tests.model.world import Step, World, bumps, put, with_fault


def steps(world: World, state: State) -> Iterator[Step]:
    """Yield what can happen next."""
    yield "time passes", _tick(state)
    if len(state.commits) < world.commits:
        for namespace in (A, B) if state.commits else (A,):
            for announced in (True, False) if world.unannounced else (True,):
                commit = Commit(namespace, 0, announced)
                yield f"somebody commits {commit}", state._replace(commits=(*state.commits, commit))
        if world.puts_elsewhere:
            yield from _put_elsewhere(world, state)
    if len(state.listeners) < world.listeners:
        yield "a listener begins", state._replace(listeners=(*state.listeners, begun(state)))
    yield from _moves(state)
    yield from _fail_over(world, state)
    for kind, happens in _FAULTS.items():
        later = with_fault(world, state, kind)
        if later is not None:
            yield from happens(later)


def _put_elsewhere(world: World, state: State) -> Iterator[Step]:
    """Another replica commits a change, and announces it on a Redis that can be reached."""
    for namespace in (A, B) if state.commits else (A,):
        committed = state._replace(commits=(*state.commits, Commit(namespace, 0)))
        for server in range(len(state.servers)):
            # A replica that knows of a newer generation than Redis does no harm: its bump follows none.
            for after, message in bumps(world, committed, server, 0, namespace):
                yield f"somebody puts on Redis {server}: {message}", after


def _moves(state: State) -> Iterator[Step]:
    """Somebody's connections lead to the new primary."""
    for index, listener in enumerate(state.listeners):
        if listener.redis:
            moved = put(state.listeners, index, listener._replace(redis=0))
            yield f"listener {index + 1} comes to the new Redis", state._replace(listeners=moved)
    for index, replica in enumerate(state.replicas):
        if replica.redis:
            moved_replicas = put(state.replicas, index, replica._replace(redis=0))
            yield f"replica {index + 1} comes to the new Redis", state._replace(replicas=moved_replicas)


def _flush(state: State) -> Iterator[Step]:
    yield "Redis loses the key", state._replace(servers=put(state.servers, 0, lua.NO_KEY))


def _fall_behind(state: State) -> Iterator[Step]:
    if not state.lagging:
        yield "Redis' replica falls behind", state._replace(lagging=state.servers[0])


def _restart_listener(state: State) -> Iterator[Step]:
    for index in range(len(state.listeners)):
        restarted = put(state.listeners, index, begun(state))
        yield f"listener {index + 1} is started anew", state._replace(listeners=restarted)


def _restart_replica(state: State) -> Iterator[Step]:
    for index in range(len(state.replicas)):
        fresh = put(state.replicas, index, Replica(Seen()))
        yield f"replica {index + 1} is started anew", state._replace(replicas=fresh)


_FAULTS: dict[str, Callable[[State], Iterator[Step]]] = {
    "flush": _flush,
    "failover": _fall_behind,
    "listener": _restart_listener,
    "replica": _restart_replica,
}


def _fail_over(world: World, state: State) -> Iterator[Step]:
    """Redis' replica, which fell behind, takes over."""
    if not state.lagging or len(state.servers) > 1:
        return
    old = state.servers[:1] if world.split else ()
    where = 1 if world.split else 0
    yield (
        "Redis fails over",
        state._replace(
            servers=(state.lagging, *old),
            lagging=(),
            listeners=tuple(_parted(listener, where) for listener in state.listeners),
            replicas=tuple(replica._replace(redis=where) for replica in state.replicas),
        ),
    )


def _parted(listener: Listener, where: int) -> Listener:
    """Return a listener that has talked to the server that is none, or the old one, now."""
    proof = listener.proof and listener.proof._replace(server=listener.proof.server + 1)
    server = listener.server + 1 if listener.server >= 0 else -1
    return listener._replace(server=server, proof=proof, redis=where)


def _tick(state: State) -> State:
    return state._replace(
        commits=tuple(commit._replace(age=min(LEASE, commit.age + 1)) for commit in state.commits),
        servers=tuple(_aged_key(key) for key in state.servers),
        lagging=_aged_key(state.lagging) if state.lagging else (),
        listeners=tuple(_aged_listener(listener) for listener in state.listeners),
        replicas=tuple(
            replica._replace(view=_aged_view(replica.view), poll=_aged_poll(replica.poll)) for replica in state.replicas
        ),
    )


def _aged_key(key: Key) -> Key:
    return Key(key.generation, key.ends - 1) if key.ends > 1 else lua.NO_KEY


def _aged_listener(listener: Listener) -> Listener:
    if not listener.proof:
        return listener
    return listener._replace(proof=listener.proof._replace(age=min(LEASE, listener.proof.age + 1)))


def _aged_view(view: Seen) -> Seen:
    return view._replace(valid_left=max(0, view.valid_left - 1), awaited_left=max(0, view.awaited_left - 1))


def _aged_poll(poll: Asked | tuple[()]) -> Asked | tuple[()]:
    return poll and poll._replace(age=min(LEASE, poll.age + 1))
