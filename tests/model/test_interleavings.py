"""The promise, held against every interleaving that a search through a small world finds."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from coherence.query import Query
from coherence.view import View
from tests.model.parties import LEASE, Listener, MakeView, Replica, World

NAMESPACES = ("a", "b")
MARGIN = 0.01
"""Seconds for roundings, and for the drift that RedisClock allows."""
MOMENT = 0.02
"""Seconds that every step takes."""

namespaces = st.sampled_from(NAMESPACES)
sides = st.sampled_from((0, 1))
delays = st.sampled_from((0.0, 0.0, 0.0, 0.2, 1.2))
likely = st.sampled_from((True, True, True, False))


def real_view(_: object) -> View:
    """Return the view that the product uses."""
    return View(LEASE)


class Model(RuleBasedStateMachine):
    """Two replicas and two listeners over one Redis, and a network that does to messages what it likes.

    An entry is an answer that a replica began to load under the generation of its view. The worst that can lie in any
    cache is known without storing any: for each generation, one that was loaded as soon as a view had reached it.
    """

    make_view: MakeView = staticmethod(real_view)

    def __init__(self) -> None:
        super().__init__()
        self.world = World(self.make_view)
        self.visible: dict[int, int] = {}
        """By generation, how many commits an entry that is stamped so is sure to show."""

    @initialize()
    def start(self) -> None:
        """Begin with a lease, and with views that have seen it."""
        for replica in self.world.replicas:
            replica.view.subscribed()
        for listener in reversed(self.world.listeners):
            self.vouch(listener)
        for replica in self.world.replicas:
            self.poll(replica, 0.0, 0.0)

    # -- time and writers

    @rule(seconds=st.sampled_from((0.1, 0.3, 0.7, 1.5, 4.5)))
    def pass_time(self, seconds: float) -> None:
        """Nobody does anything for a while."""
        self.world.now += seconds

    @rule(namespace=namespaces)
    def write(self, namespace: str) -> None:
        """Change rows behind the replicas' back."""
        self.world.commit(namespace)

    # -- listeners

    @rule(side=sides)
    def whole_renewal(self, side: int) -> None:
        """A listener does all that its loop does, at once."""
        self.vouch(self.world.listeners[side])

    @rule(side=sides, changes=st.permutations(NAMESPACES), poller=sides)
    def renewal_that_messages_lag_behind(self, side: int, changes: list[str], poller: int) -> None:
        """A listener bumps twice and renews, and a replica's poll sees that before a message comes."""
        listener = self.world.listeners[side]
        for namespace in changes:
            self.world.commit(namespace)
            self.world.hear(listener, len(self.world.commits))
            self.world.tell(listener)
        self.world.now += MOMENT
        self.vouch(listener)
        self.poll(self.world.replicas[poller], 0.0, 0.0)

    def vouch(self, listener: Listener) -> None:
        """Prove, tell, renew."""
        self.world.begin_proof(listener)
        self.world.prove(listener)
        self.world.tell(listener)
        self.world.renew(listener)

    @rule(
        side=sides,
        step=st.sampled_from(("hear", "tell", "tell", "begin", "prove", "renew")),
        behind=st.integers(0, 3),
        answered=likely,
    )
    def step_of_a_listener(self, side: int, step: str, behind: int, answered: bool) -> None:
        """A listener does one thing, anything may come before the next."""
        world, listener = self.world, self.world.listeners[side]
        match step:
            case "hear":
                world.hear(listener, len(world.commits) - behind)
            case "tell":
                world.hear(listener, len(world.commits) - behind)
                world.tell(listener, answered=answered)
            case "begin":
                world.begin_proof(listener)
            case "prove":
                world.prove(listener)
            case "renew":
                world.renew(listener, answered=answered)

    # -- replicas

    @rule(side=sides, back=st.integers(0, 3))
    @precondition(lambda self: self.world.messages)
    def deliver(self, side: int, back: int) -> None:
        """A message arrives: in turn or not, late, once more, or instead of one that never does."""
        messages = self.world.messages
        self.world.replicas[side].view.receive(messages[max(0, len(messages) - 1 - back)])

    @rule(side=sides, out=delays, home=delays)
    def whole_poll(self, side: int, out: float, home: float) -> None:
        """A replica polls, and the answer takes a while."""
        self.poll(self.world.replicas[side], out, home)

    def poll(self, replica: Replica, out: float, home: float) -> None:
        """Poll; the answer is made after `out` seconds and arrives after `home` more."""
        self.world.send_poll(replica)
        self.world.now += out
        self.world.serve_poll(replica)
        self.world.now += home
        self.world.take_poll(replica)

    @rule(side=sides, step=st.sampled_from(("send", "serve", "take")))
    def step_of_a_poll(self, side: int, step: str) -> None:
        """A poll goes on by one leg, anything may come before the next."""
        steps = {"send": self.world.send_poll, "serve": self.world.serve_poll, "take": self.world.take_poll}
        steps[step](self.world.replicas[side])

    @rule(side=sides, namespace=namespaces, fate=st.sampled_from(("announced", "announced", "unanswered", "lost")))
    def put(self, side: int, namespace: str, fate: str) -> None:
        """A replica commits and announces a change; where Redis does not answer, it has still to be announced."""
        replica = self.world.replicas[side]
        replica.own[namespace] = self.world.commit(namespace)
        replica.unannounced += (namespace,)
        if fate == "announced":
            self.world.announce(replica, ())
        else:
            if fate == "unanswered":
                bump = self.world.redis.bump(self.world.now, replica.view.generation, replica.unannounced)
                self.world.messages.append(bump)
            replica.view.distrust()

    # -- faults

    @rule(
        fault=st.sampled_from(("restart", "fail over", "flush", "clock", "subscription", "garbage")),
        side=sides,
        writes=st.integers(1, 4),
        seconds=st.sampled_from((1.0, 3.0, 20.0)),
    )
    def fault(self, fault: str, side: int, writes: int, seconds: float) -> None:
        """Something breaks."""
        world, replica = self.world, self.world.replicas[side]
        match fault:
            case "restart":
                world.restart(world.listeners[side])
            case "fail over":
                # Connections are made again in silence: nobody notices anything.
                world.redis.lose(writes)
            case "flush":
                world.redis.flush()
            case "clock":
                # Redis' clock is set back: leases last longer than they were given for.
                world.redis.shift -= seconds
            case "subscription":
                replica.view.unsubscribed()
                replica.view.subscribed()
            case "garbage":
                replica.view.lose_track()

    # -- what must hold

    @invariant()
    def promise(self) -> None:
        """While a view is valid, what it calls unaffected shows every commit that was visible before now - lease.

        If nothing else happens the view goes on to the end of its validity, so that is the moment to judge it by.
        """
        for replica in self.world.replicas:
            self.visible.setdefault(replica.view.generation, len(self.world.commits))
        for replica in self.world.replicas:
            view = replica.view
            if view.valid(replica.clock(self.world.now)):
                assert view.generation > 0, "a view that knows nothing vouches for nothing (I4)"
                before = view.valid_until - replica.offset - LEASE - MARGIN
                for namespace in NAMESPACES:
                    self.judge(replica, namespace, before)
        self.world.now += MOMENT

    def judge(self, replica: Replica, namespace: str, before: float) -> None:
        """Look at the worst entries there can be (I1, I3, I4)."""
        view = replica.view
        changes = [n for n, (at, where) in enumerate(self.world.commits) if where == namespace and at < before]
        last = max(changes, default=-1)
        own = replica.own.get(namespace, -1)
        for stamp, visible in self.visible.items():
            if view.unaffected(Query(namespace), stamp):
                assert stamp <= view.generation, f"stamp {stamp} is not this view's to judge (I4)"
                assert visible > last, f"stamp {stamp} misses commit {last} and is served until {before + LEASE:g}"
                assert visible > own, f"stamp {stamp} misses this replica's own commit {own}"


TestPromise = Model.TestCase
TestPromise.settings = settings(
    max_examples=150,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
