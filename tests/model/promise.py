"""What must hold in every state: I1 to I4."""

from coherence.query import Query
from tests.model.frozen import LEASE, thaw_view
from tests.model.state import NAMES, A, B, State

_QUERIES = {A: Query(NAMES[A]), B: Query(NAMES[B])}


class Broken(AssertionError):  # noqa: N818 - it names what happened
    """The promise does not hold; the message says where."""


def check(state: State) -> int:
    """Raise Broken if a replica would serve what it must not; return how many serve at all.

    The caches may have kept any answer that any replica ever loaded, wrote late or wrote twice (I3): of each
    generation the worst, loaded as soon as a view had reached it. While a view is valid, what it calls unaffected must
    show every commit that was visible a lease ago (I1); a request may also join a load so stamped (I2). What a
    generation beyond its own stamps is none of a view's to judge, and one that knows nothing vouches for nothing (I4).
    """
    serving = 0
    for replica in state.replicas:
        view = thaw_view(replica.view)
        if not (view.proves(NAMES[A], 0) or view.proves(NAMES[B], 0)):
            continue
        serving += 1
        if not view.generation:
            raise Broken("a view that knows nothing is valid")
        for namespace, query in _QUERIES.items():
            due = [
                number
                for number, commit in enumerate(state.commits)
                if commit.namespace == namespace and (commit.age >= LEASE or replica.own & 1 << number)
            ]
            for stamp, count in state.visible:
                if view.proves(query.namespace, 0) and view.unaffected(query, stamp):
                    if stamp > view.generation:
                        raise Broken(f"generation {view.generation} judges an entry of {stamp}")
                    if due and count <= due[-1]:
                        raise Broken(f"an entry of {stamp} is served, which need not show commit {due[-1] + 1}")
    return serving
