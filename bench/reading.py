"""Reads offered at a steady rate, however long the answers take, and a note of each."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

from bench.client import OK, Connection, connect, header, request
from bench.workload import Asked, popularity

HITS = ("l1", "l2")
"""The layers of an answer that was cached."""
CONNECTIONS = 24
"""Per replica."""
TICK_SECONDS = 0.0005


class Read(NamedTuple):
    """A read: which query, of which replica, when due, sent and answered, by which layer, and its place in `bodies`.

    Times are on the machine's monotonic clock. The layer is "joined" where the answer shares another read's load.
    """

    query: int
    replica: int
    due: float
    sent: float
    ended: float
    layer: str
    body: int


@dataclass(slots=True)
class Reads:
    """Every read, in the order of the answers; equal answers are kept once."""

    done: list[Read] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    """What was answered instead of a 200."""
    _known: dict[tuple[int, bytes], int] = field(default_factory=dict)

    def note(self, query: int, replica: int, due: float, sent: float, head: bytes, body: bytes) -> None:
        """Take an answer that has just come."""
        ended = time.monotonic()
        if not head.startswith(OK):
            self.failures.append(head.partition(b"\r\n")[0].decode())
            return
        identity = (query, header(head, b"etag"))
        number = self._known.get(identity)
        if number is None or self.bodies[number] != body:
            number = self._known[identity] = len(self.bodies)
            self.bodies.append(body)
        status = header(head, b"cache-status")
        layer = "joined" if b"; collapsed" in status else status.rpartition(b"detail=")[2].decode()
        self.done.append(Read(query, replica, due, sent, ended, layer, number))


class Lane:
    """One replica: connections to it, and the reads that wait for one. `over` is called with what breaks it."""

    def __init__(self, number: int, requests: Sequence[bytes], reads: Reads, over: Callable[[Exception], None]) -> None:
        self._number = number
        self._requests = requests
        self._reads = reads
        self._over = over
        self._waiting: deque[tuple[float, int]] = deque()
        self._idle: deque[Connection] = deque()
        self._asked: dict[Connection, tuple[float, int, float]] = {}
        self._connections: list[Connection] = []
        self.done = asyncio.Event()
        self.done.set()

    async def open(self, port: int) -> None:
        """Connect."""
        for _ in range(CONNECTIONS):
            self._connections.append(await connect(port, self._answered, self._over))
        self._idle.extend(self._connections)

    def close(self) -> None:
        """Disconnect."""
        for connection in self._connections:
            connection.close()

    def ask(self, due: float, query: int) -> None:
        """Send a read as soon as a connection is idle."""
        self.done.clear()
        self._waiting.append((due, query))
        self._next()

    def give_up(self) -> None:
        """Forget the reads that wait for a connection."""
        self._waiting.clear()

    def _next(self) -> None:
        while self._waiting and self._idle:
            # Whichever was idle the longest: none is left until the replica takes it for abandoned.
            connection = self._idle.popleft()
            due, query = self._waiting.popleft()
            self._asked[connection] = (due, query, time.monotonic())
            connection.send(self._requests[query])
        if not self._asked:
            self.done.set()

    def _answered(self, connection: Connection, head: bytes, body: bytes) -> None:
        due, query, sent = self._asked.pop(connection)
        self._reads.note(query, self._number, due, sent, head, body)
        self._idle.append(connection)
        self._next()


class Reader:
    """Asks the replicas at these ports, each with an equal share of the reads."""

    def __init__(self, queries: Sequence[Asked], ports: Sequence[int], random: Random) -> None:
        self.reads = Reads()
        self._ports = ports
        self._random = random
        self._amount = len(queries)
        self._requests = [request(each.target) for each in queries]

    async def touch(self) -> None:
        """Ask every replica every query once."""
        await self._offer([(0.0, query) for query in range(self._amount) for _ in self._ports])

    async def offer(self, rate: float, begin: float, end: float, report: Callable[[], None]) -> None:
        """Offer `rate` reads a second, at random moments from `begin` to `end`, and wait for the answers to those sent.

        Those that are still waiting for a connection at the end are given up. `report` is called now and then.
        """
        moments = []
        moment = begin + self._random.expovariate(rate)
        while moment < end:
            moments.append(moment)
            moment += self._random.expovariate(rate)
        chosen = self._random.choices(range(self._amount), cum_weights=popularity(self._amount), k=len(moments))
        await self._offer(list(zip(moments, chosen, strict=True)), report, give_up=True)

    async def _offer(
        self, plan: Sequence[tuple[float, int]], report: Callable[[], None] = lambda: None, *, give_up: bool = False
    ) -> None:
        """Carry out a plan: when to ask what. The replicas take turns. Raises what broke a connection."""
        broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def over(error: Exception) -> None:
            if not broken.done():
                broken.set_exception(error)

        lanes = [Lane(number, self._requests, self.reads, over) for number, _ in enumerate(self._ports)]
        asking = asyncio.create_task(self._ask(plan, lanes, report, give_up=give_up))
        try:
            await asyncio.wait({asking, broken}, return_when=asyncio.FIRST_COMPLETED)
            if broken.done():
                broken.result()
            await asking
        finally:
            asking.cancel()
            broken.cancel()
            for lane in lanes:
                lane.close()

    async def _ask(
        self, plan: Sequence[tuple[float, int]], lanes: Sequence[Lane], report: Callable[[], None], *, give_up: bool
    ) -> None:
        for lane, port in zip(lanes, self._ports, strict=True):
            await lane.open(port)
        for place, (due, query) in enumerate(plan):
            left = due - time.monotonic()
            if left > 0:
                await asyncio.sleep(max(left, TICK_SECONDS))
            lanes[place % len(lanes)].ask(due, query)
            if place % 200 == 0:
                report()
                await asyncio.sleep(0)
        for lane in lanes:
            if give_up:
                lane.give_up()
            await lane.done.wait()
