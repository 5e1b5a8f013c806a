"""The protocol's parties in a world without sockets, for tests that drive every interleaving.

The views and the estimate of Redis' clock are the real ones. Redis (the two Lua functions), the listener and what the
backplane does with a poll's answer are told again here, in a few lines each. Times are true seconds; each process has
a clock of its own, off by a constant.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from coherence.changes import Bump, Change
from coherence.clock import RedisClock
from coherence.view import Poll, Polled, View

LEASE = 2.0
EPOCH = 1_000_000.0
"""What Redis' clock says at true time 0."""


@dataclass
class Redis:
    """The generation key: its value, its end by Redis' own clock, and what was written before, to be lost again.

    Generations come from a clock that never goes back, also where `shift` sets the one back that leases end by.
    """

    generation: int = 0
    ends: float = 0.0
    shift: float = 0.0
    server: int = 1
    _written: list[tuple[int, float]] = field(default_factory=lambda: [(0, 0.0)])
    _calls: int = 0

    def time(self, now: float) -> float:
        """Return what Redis' clock says."""
        return EPOCH + now + self.shift

    def read(self, now: float) -> tuple[float, int | None, float]:
        """Return Redis' time, the generation and the rest of its lease."""
        if self.time(now) >= self.ends:
            self.generation = 0
        return self.time(now), self.generation or None, self.ends - self.time(now) if self.generation else 0.0

    def bump(self, now: float, floor: int, namespaces: tuple[str | None, ...]) -> Bump:
        """Make a generation; a lease that there is goes on."""
        previous = self.read(now)[1] or 0
        generation = max(previous, floor, self._fresh(now)) + 1
        if previous:
            self._write(generation, self.ends)
        changes = tuple(Change(namespace, "update") for namespace in namespaces)
        return Bump(previous if previous >= floor else 0, generation, changes, self.time(now))

    def renew(self, now: float, t0: float, age: float, floor: int, server: int) -> tuple[int | None, Bump | None]:
        """Give a lease from `t0` on; return the generation (None: no lease), and the message if one is published."""
        if server != self.server or self.time(now) - t0 < age - 0.002 or self.time(now) >= t0 + LEASE:
            return None, None
        current = self.read(now)[1] or 0
        if current and current >= floor:
            self._write(current, t0 + LEASE)
            return current, None
        generation = max(floor, self._fresh(now)) + 1
        self._write(generation, t0 + LEASE)
        return generation, Bump(0, generation, (Change(None, "lease"),), self.time(now))

    def lose(self, writes: int) -> None:
        """Fail over to another server, which has not got the last `writes`."""
        self.server += 1
        del self._written[max(1, len(self._written) - writes) :]
        self.generation, self.ends = self._written[-1]

    def flush(self) -> None:
        """Lose the key."""
        self._write(0, 0.0)

    def _write(self, generation: int, ends: float) -> None:
        self.generation, self.ends = generation, ends
        self._written.append((generation, ends))

    def _fresh(self, now: float) -> int:
        self._calls += 1
        return int(now * 1000) * 1000 + self._calls


@dataclass
class Listener:
    """A listener: what it has heard and owes, its floor, and how far it is with a renewal."""

    heard: int
    owed: tuple[str | None, ...] = (None,)
    floor: int = 0
    server: int | None = None
    """The server that it has talked to."""
    t0: tuple[float, float] | None = None
    """Redis' time when the proof began, and true time then."""
    proven: bool = False


@dataclass
class Replica:
    """A process: its clock, its view, a poll under way, and its own changes."""

    view: View
    offset: float
    redis_clock: RedisClock = field(default_factory=RedisClock)
    poll: Poll | None = None
    reading: tuple[float, int | None, float] | None = None
    ahead: int = 0
    unannounced: tuple[str, ...] = ()
    own: dict[str, int] = field(default_factory=dict)
    """By namespace, the last commit that it made and was done with."""

    def clock(self, now: float) -> float:
        """Return what its own clock says."""
        return now + self.offset


MakeView = Callable[[Callable[[], float]], View]


class World:
    """A database, a Redis, listeners, replicas, and every message that was ever published."""

    def __init__(self, make_view: MakeView, *, replicas: int = 2, listeners: int = 2) -> None:
        self.now = 100.0
        self.commits: list[tuple[float, str]] = []
        self.redis = Redis()
        self.listeners = [Listener(heard=0) for _ in range(listeners)]
        self.messages: list[Bump] = []
        self.replicas: list[Replica] = []
        for number in range(replicas):
            offset = 1000.0 * number
            view = make_view(lambda offset=offset: self.now + offset)  # type: ignore[misc] # a default of a lambda
            self.replicas.append(Replica(view, offset))

    # -- the listener's steps

    def hear(self, listener: Listener, upto: int) -> None:
        """The notifications of the commits before `upto` reach it."""
        if upto > listener.heard:
            listener.owed += tuple(namespace for _, namespace in self.commits[listener.heard : upto])
            listener.heard = upto

    def tell(self, listener: Listener, *, answered: bool = True) -> None:
        """It bumps what it owes. Without an answer it cannot know what Redis has: everything changed."""
        if listener.owed:
            bump = self.redis.bump(self.now, listener.floor, listener.owed)
            self.messages.append(bump)
            if answered:
                listener.owed, listener.floor = (), bump.generation
            else:
                listener.owed = (None,)

    def begin_proof(self, listener: Listener) -> None:
        """It reads Redis' clock, and which server this is: another than before may have lost what that was told."""
        if listener.server not in (None, self.redis.server):
            listener.owed = (None,)
        listener.server = self.redis.server
        listener.t0, listener.proven = (self.redis.time(self.now), self.now), False

    def prove(self, listener: Listener) -> None:
        """Its fence comes back: it has heard of every commit so far."""
        self.hear(listener, len(self.commits))
        listener.proven = listener.t0 is not None

    def renew(self, listener: Listener, *, answered: bool = True) -> None:
        """It gives the lease that its proof allows."""
        if listener.t0 is not None and listener.proven and not listener.owed and listener.server is not None:
            t0, read = listener.t0
            generation, made = self.redis.renew(self.now, t0, self.now - read, listener.floor, listener.server)
            listener.t0, listener.proven = None, False
            if made is not None:
                self.messages.append(made)
            if not answered:
                listener.owed = (None,)
            elif generation is not None:
                listener.floor = max(listener.floor, generation)

    def restart(self, listener: Listener) -> None:
        """It ends, and one that knows nothing listens from here on."""
        self.listeners[self.listeners.index(listener)] = Listener(heard=len(self.commits))

    # -- a replica's steps

    def send_poll(self, replica: Replica) -> None:
        """It sends a poll, if none is under way."""
        if replica.poll is None:
            replica.poll = replica.view.poll(replica.clock(self.now))

    def serve_poll(self, replica: Replica) -> None:
        """Redis answers it."""
        if replica.poll is not None and replica.reading is None:
            replica.reading = self.redis.read(self.now)

    def take_poll(self, replica: Replica) -> None:
        """It takes the answer, and announces what there is to announce."""
        if replica.poll is None or replica.reading is None:
            return
        poll, (time, generation, pttl) = replica.poll, replica.reading
        replica.poll = replica.reading = None
        received = replica.clock(self.now)
        if replica.redis_clock.observe(poll.sent, received, time):
            outcome = replica.view.polled(poll, generation, pttl)
        else:
            outcome = replica.view.clock_set_back(received, pttl)
        replica.ahead = replica.ahead + 1 if outcome is Polled.AHEAD else 0
        if replica.ahead > 1:
            self.announce(replica, (None,))
        elif replica.unannounced:
            self.announce(replica, ())

    def announce(self, replica: Replica, namespaces: tuple[str | None, ...]) -> Bump:
        """It bumps, applies that, and has nothing left to announce."""
        bump = self.redis.bump(self.now, replica.view.generation, (*namespaces, *replica.unannounced))
        self.messages.append(bump)
        replica.view.receive(bump)
        replica.unannounced = ()
        replica.view.trust()
        return bump

    def commit(self, namespace: str) -> int:
        """Commit a change, and return its number."""
        self.commits.append((self.now, namespace))
        return len(self.commits) - 1
