"""What a listener does, one step at a time; its ledger is the product's."""

from collections.abc import Callable, Iterator

from coherence.changes import Bump, Change
from listener.ledger import Ledger
from tests.model import lua
from tests.model.frozen import LEASE, audit_of, changes_of, refreeze_ledger, thaw_ledger
from tests.model.state import ALL, NAMES, A, B, Listener, Message, State
from tests.model.world import Step, World, bumps, clocks, put, with_fault


def steps(world: World, state: State) -> Iterator[Step]:
    """Yield what each listener can do next."""
    for index, listener in enumerate(state.listeners):
        if listener not in state.listeners[:index]:
            name = f"listener {index + 1}"
            for step in (_begin_proof, _prove, _tell, _renew):
                yield from ((f"{name} {did}", after) for did, after in step(world, state, index, listener))


def begun(state: State) -> Listener:
    """Return a listener that begins to hear, and knows nothing."""
    ledger = Ledger()
    ledger.begin()
    return refreeze_ledger(Listener(len(state.commits), 0), ledger)


def _with(state: State, index: int, listener: Listener) -> State:
    return state._replace(listeners=put(state.listeners, index, listener))


def _changed(listener: Listener, do: Callable[[Ledger], object]) -> Listener:
    ledger = thaw_ledger(listener)
    do(ledger)
    return refreeze_ledger(listener, ledger)


def announced(state: State, first: int, last: int) -> tuple[Change, ...]:
    """Return the notifications of the commits from one number to before another."""
    return tuple(Change(NAMES[commit.namespace], "update") for commit in state.commits[first:last] if commit.announced)


def _hearing(state: State, listener: Listener, upto: int) -> Listener:
    """Return the listener that the notifications of the commits before `upto` have reached."""
    changes = announced(state, listener.heard, upto)
    return _changed(listener, lambda ledger: ledger.heard(changes))._replace(heard=upto)


def _begin_proof(_: World, state: State, index: int, listener: Listener) -> Iterator[Step]:
    """It reads Redis' clock, and which server this is."""
    if not listener.proof:
        server = str(listener.redis)
        yield "begins a proof", _with(state, index, _changed(listener, lambda ledger: ledger.begin_proof(0, server, 0)))


def _prove(world: World, state: State, index: int, listener: Listener) -> Iterator[Step]:
    """Its fence comes back: every commit so far has been announced to it. Then it looks at the triggers."""
    if not listener.proof or listener.proof.looked:
        return
    after = listener
    if not listener.proof.fenced:
        changes = announced(state, listener.heard, len(state.commits))
        after = _changed(listener, lambda ledger: ledger.fenced(changes))._replace(heard=len(state.commits))
    if listener.proof.fenced or not world.unannounced:
        audit = audit_of(touched(state))
        after = _changed(after, lambda ledger: ledger.audited(audit))
    yield "proves", _with(state, index, after)


def touched(state: State) -> tuple[int, ...]:
    """Return how often the triggers of each namespace were off for a moment."""
    off = [commit.namespace for commit in state.commits if not commit.announced]
    return off.count(A), off.count(B)


def _tell(world: World, state: State, index: int, listener: Listener) -> Iterator[Step]:
    """It hears what has come so far, all or the first of it, and bumps what it owes."""
    for upto in range(listener.heard, len(state.commits) + 1):
        owing = _hearing(state, listener, upto)
        if owing.owed:
            yield from _told(world, state, index, owing)


def _told(world: World, state: State, index: int, owing: Listener) -> Iterator[Step]:
    for after, message in bumps(world, state, owing.redis, owing.floor, _published(owing.owed)):
        told = _changed(owing, lambda ledger: ledger.told(_bump(message)))  # noqa: B023 - called at once
        yield f"tells {message}", _with(after, index, told)
        later = with_fault(world, after, "answer")
        if later is not None:
            missed = _changed(owing, lambda ledger: ledger.missed("redis"))
            yield f"tells {message}, and gets no answer", _with(later, index, missed)


def _published(owed: int) -> int:
    return min(ALL, owed)


def _bump(message: Message) -> Bump:
    return Bump(message.previous, message.generation, changes_of(message.changes), 0.0)


def _renew(world: World, state: State, index: int, listener: Listener) -> Iterator[Step]:
    """It gives the lease that its proof allows."""
    ledger = thaw_ledger(listener)
    claim = ledger.claim(0)
    if claim is None:
        return
    asking = refreeze_ledger(listener, ledger)
    for at, fresh in clocks(world, state):
        renewed = lua.renew(
            state.servers[listener.redis],
            t0=claim.t0_us,
            age=int(claim.age),
            lease=LEASE,
            floor=claim.floor,
            now=0,
            fresh=fresh,
            same_server=claim.server == str(listener.redis),
        )
        if renewed.outcome == "made" or at is state:
            yield from _renewed(world, at, index, asking, renewed)


def _renewed(world: World, state: State, index: int, listener: Listener, renewed: lua.Renewed) -> Iterator[Step]:
    did = f"renews: {renewed.outcome}"
    if renewed.outcome not in ("renewed", "made"):
        yield did, _with(state, index, listener)
        return
    made = (Message(0, renewed.generation, ALL),) if renewed.outcome == "made" else ()
    after = state._replace(servers=put(state.servers, listener.redis, renewed.key), messages=(*state.messages, *made))
    yield did, _with(after, index, _changed(listener, lambda ledger: ledger.seen(renewed.generation)))
    later = with_fault(world, after, "answer")
    if later is not None:
        yield (
            f"{did}, and gets no answer",
            _with(later, index, _changed(listener, lambda ledger: ledger.missed("redis"))),
        )
