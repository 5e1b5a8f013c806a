"""What a PUT's 200 promises (I6), held against every interleaving of subscriptions, polls and changes."""

from collections import deque
from dataclasses import dataclass, field

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from coherence.changes import Bump
from coherence.query import Query
from tests.model.parties import MakeView, Replica, World
from tests.model.test_interleavings import NAMESPACES, delays, namespaces, real_view, sides


@dataclass
class Link:
    """A replica's subscription: a connection that delivers in turn and loses nothing, until it breaks."""

    state: str = "down"
    """up; cut: Redis has closed it, and the replica has yet to notice; down: it has noticed."""
    queue: deque[Bump | None] = field(default_factory=deque)
    """What has yet to be read: bumps, and None for the confirmation of the subscription."""


@dataclass
class Put:
    """A change that waits for those to acknowledge who get the message."""

    namespace: str
    commit: int
    generation: int
    waiting: set[int]


class Model(RuleBasedStateMachine):
    """Two replicas that make changes, each with a subscription that comes and goes, and a listener."""

    make_view: MakeView = staticmethod(real_view)

    def __init__(self) -> None:
        super().__init__()
        self.world = World(self.make_view, listeners=1)
        self.links = [Link() for _ in self.world.replicas]
        self.sent = 0
        self.waiting: list[Put] = []
        self.done: list[Put] = []
        self.visible: dict[int, int] = {}

    @initialize()
    def start(self) -> None:
        """Begin with a lease, and with views that have seen it."""
        self.renew()
        for side, replica in enumerate(self.world.replicas):
            self.subscribe(side, 1)
            self.poll(replica, 0.0, 0.0)

    def publish(self) -> None:
        """Hand the new messages to those who are subscribed."""
        for message in self.world.messages[self.sent :]:
            for link in self.links:
                if link.state == "up":
                    link.queue.append(message)
        self.sent = len(self.world.messages)

    # -- changes and renewals

    @rule(side=sides, namespace=namespaces)
    def put(self, side: int, namespace: str) -> None:
        """A replica commits a change and announces it, and waits for those who are subscribed."""
        replica = self.world.replicas[side]
        commit = self.world.commit(namespace)
        replica.unannounced += (namespace,)
        bump = self.world.announce(replica, ())
        self.publish()
        subscribed = {number for number, link in enumerate(self.links) if link.state == "up" and number != side}
        self.waiting.append(Put(namespace, commit, bump.generation, subscribed))

    @rule()
    def renew(self) -> None:
        """The listener renews the lease."""
        (listener,) = self.world.listeners
        self.world.begin_proof(listener)
        self.world.prove(listener)
        self.world.tell(listener)
        self.world.renew(listener)
        self.publish()

    @rule(seconds=st.sampled_from((0.3, 1.5)))
    def pass_time(self, seconds: float) -> None:
        """Nobody does anything for a while."""
        self.world.now += seconds

    # -- subscriptions

    @rule(side=sides, count=st.integers(1, 3))
    def read(self, side: int, count: int) -> None:
        """A replica reads what comes next."""
        self.deliver(side, count)

    def deliver(self, side: int, count: int) -> None:
        """A replica reads the next messages, and acknowledges what it has applied."""
        view, link = self.world.replicas[side].view, self.links[side]
        for _ in range(min(count, len(link.queue))):
            message = link.queue.popleft()
            if message is None:
                view.subscribed()
            else:
                view.receive(message)
                for put in self.waiting:
                    if put.generation <= view.generation:
                        put.waiting.discard(side)

    @rule(side=sides)
    def cut(self, side: int) -> None:
        """Redis closes a subscription."""
        if self.links[side].state == "up":
            self.links[side].state = "cut"

    @rule(side=sides, namespace=namespaces)
    def be_away(self, side: int, namespace: str) -> None:
        """A replica polls and finds its subscription closed; before it has another, the other one makes a change."""
        self.step_of_a_poll(side, "send and serve")
        self.notice(side)
        self.put(1 - side, namespace)
        self.subscribe(side, 1)

    @rule(side=sides)
    def notice(self, side: int) -> None:
        """A replica finds its subscription closed."""
        self.links[side] = Link()
        self.world.replicas[side].view.unsubscribed()

    @rule(side=sides, read=st.integers(0, 1))
    def subscribe(self, side: int, read: int) -> None:
        """A replica without a subscription has one again; the confirmation is on its way, or read already."""
        if self.links[side].state == "down":
            self.links[side] = Link("up", deque([None]))
            self.deliver(side, read)

    @rule(side=sides)
    def read_garbage(self, side: int) -> None:
        """A replica gets a message that it cannot read."""
        self.world.replicas[side].view.lose_track()

    # -- polls

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
        self.publish()

    @rule(side=sides, step=st.sampled_from(("send and serve", "take")))
    def part_of_a_poll(self, side: int, step: str) -> None:
        """A poll goes on, anything may come before the next step."""
        self.step_of_a_poll(side, step)

    def step_of_a_poll(self, side: int, step: str) -> None:
        """Send a poll and have it answered, or take the answer."""
        replica = self.world.replicas[side]
        if step == "take":
            self.world.take_poll(replica)
            self.publish()
        else:
            self.world.send_poll(replica)
            self.world.serve_poll(replica)

    # -- what must hold

    @invariant()
    def promise(self) -> None:
        """No valid view calls an entry unaffected that misses a change whose PUT has returned, all having acknowledged.

        Only a replica whose subscription is cut, and which has yet to notice, may not know better.
        """
        self.done += [put for put in self.waiting if not put.waiting]
        self.waiting = [put for put in self.waiting if put.waiting]
        for replica in self.world.replicas:
            self.visible.setdefault(replica.view.generation, len(self.world.commits))
        for replica, link in zip(self.world.replicas, self.links, strict=True):
            if link.state != "cut" and replica.view.valid(replica.clock(self.world.now)):
                for namespace in NAMESPACES:
                    last = max((put.commit for put in self.done if put.namespace == namespace), default=-1)
                    for stamp, visible in self.visible.items():
                        if replica.view.unaffected(Query(namespace), stamp):
                            assert visible > last, f"stamp {stamp} misses commit {last}, whose PUT has returned"


TestPromise = Model.TestCase
TestPromise.settings = settings(
    max_examples=150,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
