"""How long a view believes a lease, held against clocks that are set back and answers that take their time."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.model.parties import LEASE, MakeView, World
from tests.model.test_interleavings import MARGIN, delays, real_view


class Model(RuleBasedStateMachine):
    """A replica, a listener that has nothing to tell, and a Redis whose clock is not to be relied on."""

    make_view: MakeView = staticmethod(real_view)

    def __init__(self) -> None:
        super().__init__()
        self.world = World(self.make_view, replicas=1, listeners=1)
        self.vouched = 0.0
        """When the latest proof began that a lease was given for."""

    @initialize()
    def start(self) -> None:
        """Begin with a lease, and with a view that has seen it."""
        self.world.replicas[0].view.subscribed()
        self.renew(0.0)
        self.poll(0.0, 0.0)

    @rule(took=delays)
    def renew(self, took: float) -> None:
        """The listener proves that nothing was missed, which takes a while, and renews the lease."""
        world, (listener,) = self.world, self.world.listeners
        began = world.now
        world.begin_proof(listener)
        world.now += took
        world.prove(listener)
        world.tell(listener)
        ends = world.redis.ends
        world.renew(listener)
        if world.redis.ends != ends:
            self.vouched = began

    @rule(out=delays, home=delays)
    def poll(self, out: float, home: float) -> None:
        """The replica polls, and the answer takes a while."""
        (replica,) = self.world.replicas
        self.world.send_poll(replica)
        self.world.now += out
        self.world.serve_poll(replica)
        self.world.now += home
        self.world.take_poll(replica)

    @rule(times=st.integers(2, 12))
    def poll_on(self, times: int) -> None:
        """The listener is silent, and the replica goes on polling."""
        for _ in range(times):
            self.world.now += 0.45
            self.poll(0.0, 0.0)
            self.promise()

    @rule(seconds=st.sampled_from((0.3, 1.1, 4.5)))
    def pass_time(self, seconds: float) -> None:
        """Nobody does anything for a while."""
        self.world.now += seconds

    @rule(seconds=st.sampled_from((1.0, 3.0, 30.0)), during_a_poll=st.booleans())
    def set_clock_back(self, seconds: float, during_a_poll: bool) -> None:
        """Redis' clock is set back, between polls or while one is under way."""
        if during_a_poll:
            self.world.send_poll(self.world.replicas[0])
            self.world.now += 1.2
        self.world.redis.shift -= seconds

    @rule(seconds=st.sampled_from((0.5, 3.0)))
    def set_clock_forward(self, seconds: float) -> None:
        """Redis' clock is set forward, and a poll sees it so.

        A clock set forward and back between two polls, with a renewal in between, is not noticed by a replica: the
        listener's next renewal mends it.
        """
        self.world.redis.shift += seconds
        self.poll(0.0, 0.0)

    @invariant()
    def promise(self) -> None:
        """A view is valid for no longer than a lease after the moment at which a listener began to vouch for it."""
        (replica,) = self.world.replicas
        if replica.view.valid(replica.clock(self.world.now)):
            ends = replica.view.valid_until - replica.offset
            assert ends <= self.vouched + LEASE + MARGIN, f"valid until {ends:g}, vouched for at {self.vouched:g}"


TestPromise = Model.TestCase
TestPromise.settings = settings(
    max_examples=200,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
