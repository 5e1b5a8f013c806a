"""Readers that ask every replica without pause, and pass on each answer."""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from bench.client import OK, Connection, connect, header, request
from bench.errors import BenchError
from coherence.clock import monotonic
from tests.chaos.oracle import Read, Target
from tests.support.processes import ANALYST_KEY

NO_ANSWER = 0
"""The status of a request whose connection was refused or broke."""
NO_ROW = 404
AFTER_FAILURE_SECONDS = 0.02
LINES = 2
"""Connections to each replica, beside the one of the reader that goes around."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What was answered instead of a 200, and when."""

    replica: int
    target: Target
    started: float
    ended: float
    status: int
    body: str


class Line:
    """A keep-alive connection to one replica, made again when it breaks."""

    def __init__(self, replica: int, port: int) -> None:
        self._replica = replica
        self._port = port
        self._connection: Connection | None = None
        self._answer: asyncio.Future[tuple[bytes, bytes]] | None = None

    async def exchange(self, wire: bytes) -> tuple[bytes, bytes]:
        """Send a request; return the answer's head and body. Raises OSError or BenchError where there is none."""
        if self._connection is None:
            self._connection = await connect(self._port, self._answered, self._failed)
        self._answer = asyncio.get_running_loop().create_future()
        self._connection.send(wire)
        return await self._answer

    async def ask(self, target: Target) -> Read | Failure:
        """Ask; wait for the answer as long as it takes."""
        started = monotonic()
        try:
            head, body = await self.exchange(request(target.path, ANALYST_KEY))
        except (OSError, BenchError) as error:
            self.close()
            return Failure(self._replica, target, started, monotonic(), NO_ANSWER, repr(error))
        ended = monotonic()
        status = int(head.split(b" ", 2)[1])
        if status == NO_ROW:
            return Read(self._replica, target, started, ended, "db", {})
        if not head.startswith(OK):
            return Failure(self._replica, target, started, ended, status, body.decode(errors="replace"))
        layer = header(head, b"cache-status").rpartition(b"detail=")[2].decode()
        return Read(self._replica, target, started, ended, layer, versions_of(body))

    def close(self) -> None:
        """Disconnect."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _answered(self, _: Connection, head: bytes, body: bytes) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result((head, body))

    def _failed(self, error: Exception) -> None:
        self._connection = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)


Asked = Callable[[Read | Failure], None]


class Readers:
    """Ask for `targets` in random order, `pace` seconds after the last answer; `asked` gets each answer."""

    def __init__(self, targets: Sequence[Target], random: Random, pace: float, asked: Asked) -> None:
        self.tasks: list[asyncio.Task[None]] = []
        self.passing: list[asyncio.Task[None]] = []
        self._targets = targets
        self._random = random
        self._pace = pace
        self._asked = asked
        self._around: list[Line] = []

    def read(self, replica: int, port: int) -> None:
        """Begin to ask a replica."""
        self._around.append(Line(replica, port))
        self.tasks += [asyncio.create_task(self._keep_asking([Line(replica, port)])) for _ in range(LINES)]

    def ask_once(self, replica: int, port: int, target: Target) -> None:
        """Ask a replica on a connection of its own."""
        self.passing.append(asyncio.create_task(self._ask_once(Line(replica, port), target)))

    async def _ask_once(self, line: Line, target: Target) -> None:
        try:
            self._asked(await line.ask(target))
        finally:
            line.close()

    def go_around(self) -> None:
        """Begin to ask all replicas for the same, one by one: so each finds in Redis what another has put there."""
        self.tasks.append(asyncio.create_task(self._keep_asking(self._around)))

    async def _keep_asking(self, lines: Sequence[Line]) -> None:
        try:
            for target in self._shuffled():
                for line in list(lines):
                    answer = await line.ask(target)
                    self._asked(answer)
                    await asyncio.sleep(self._pace + AFTER_FAILURE_SECONDS * isinstance(answer, Failure))
        finally:
            for line in lines:
                line.close()

    def _shuffled(self) -> Iterator[Target]:
        while True:
            yield from self._random.sample(self._targets, len(self._targets))


def versions_of(body: bytes) -> Mapping[str, int]:
    """Return the versions of the rows that an answer shows: one row, or a list."""
    shown = json.loads(body)
    rows = shown.get("anomalies", [shown])
    return {row["transaction_id"]: int(row["reason"]) for row in rows}
