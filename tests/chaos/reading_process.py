"""`python -m tests.chaos.reading_process`: asks replicas at a steady rate, and writes down each answer.

A process of its own, so that ten million reads do not hold up the faults. Standard output has frames: the lengths of
two parts, a JSON document of what is new (pages, layers, failures), and records of the answers.
"""

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from random import Random
from struct import Struct
from typing import Any

import uvloop

from bench.client import OK, Connection, connect, header, request
from coherence.clock import monotonic
from tests.chaos.readers import AFTER_FAILURE_SECONDS, NO_ANSWER, NO_ROW, versions_of
from tests.chaos.writer import TARGETS
from tests.support.processes import ANALYST_KEY

LENGTHS = Struct("<II")
RECORD = Struct("<BBBxIdd")
"""Of one answer: the replica, the target, the layer, the page, when it was asked for and when it had come."""
TICK_SECONDS = 0.002
FRAME_SECONDS = 0.05
CONNECTIONS = 16
"""To each replica."""
KEPT_PAGES = 4096
"""How many pages are known again; the other end keeps twice as many."""


class Notes:
    """What was answered since the last frame."""

    def __init__(self) -> None:
        self._records = bytearray()
        self._failures: list[Sequence[object]] = []
        self._new_pages: list[tuple[int, Mapping[str, int]]] = []
        self._pages: dict[tuple[int, bytes], int] = {}
        self._layers: dict[bytes, int] = {}
        self._new_layers: list[str] = []
        self._last_page = 0

    def answered(self, replica: int, target: int, started: float, head: bytes, body: bytes) -> None:
        """Take an answer that has just come."""
        ended = monotonic()
        status = int(head[9:12])
        if not head.startswith(OK) and status != NO_ROW:
            self.failed(replica, target, started, status, body.decode(errors="replace"))
            return
        layer = header(head, b"cache-status").rpartition(b"detail=")[2] or b"db"
        if layer not in self._layers:
            self._layers[layer] = len(self._layers)
            self._new_layers.append(layer.decode())
        identity = (target, header(head, b"etag"))
        page = self._pages.get(identity)
        if page is None:
            page = self._learn(identity, body if status != NO_ROW else b'{"anomalies": []}')
        self._records += RECORD.pack(replica, target, self._layers[layer], page, started, ended)

    def failed(self, replica: int, target: int, started: float, status: int, body: str) -> None:
        """Take note that there was no answer, or none with a 200."""
        self._failures.append((replica, target, started, monotonic(), status, body))

    def frame(self) -> bytes:
        """Return all that is new."""
        new = {"pages": self._new_pages, "layers": self._new_layers, "failures": self._failures}
        document, records = json.dumps(new).encode(), bytes(self._records)
        self._new_pages, self._new_layers, self._failures = [], [], []
        self._records.clear()
        return LENGTHS.pack(len(document), len(records)) + document + records

    def _learn(self, identity: tuple[int, bytes], body: bytes) -> int:
        self._last_page += 1
        self._pages[identity] = self._last_page
        if len(self._pages) > KEPT_PAGES:
            del self._pages[next(iter(self._pages))]
        self._new_pages.append((self._last_page, versions_of(body)))
        return self._last_page


class Wire:
    """A connection to a replica, made again when it breaks."""

    def __init__(self, replica: int, port: int, notes: Notes) -> None:
        self._replica = replica
        self._port = port
        self._notes = notes
        self._connection: Connection | None = None
        self._asked: tuple[int, float] | None = None
        self._broke = False

    @property
    def idle(self) -> bool:
        """Whether it can be asked."""
        return self._connection is not None and self._asked is None

    def ask(self, target: int, wire: bytes) -> None:
        """Send a request, being idle."""
        assert self._connection is not None
        self._asked = target, monotonic()
        self._connection.send(wire)

    async def keep_connected(self) -> None:
        """Connect whenever there is no connection, until cancelled."""
        while True:
            if self._connection is None:
                started = monotonic()
                self._broke = False
                try:
                    connection = await connect(self._port, self._answered, self._failed)
                except OSError as error:
                    self._notes.failed(self._replica, 0, started, NO_ANSWER, repr(error))
                else:
                    self._connection = None if self._broke else connection
            await asyncio.sleep(AFTER_FAILURE_SECONDS)

    def _answered(self, _: Connection, head: bytes, body: bytes) -> None:
        if self._asked is not None:
            (target, started), self._asked = self._asked, None
            self._notes.answered(self._replica, target, started, head, body)

    def _failed(self, error: Exception) -> None:
        self._connection, self._broke = None, True
        if self._asked is not None:
            (target, started), self._asked = self._asked, None
            self._notes.failed(self._replica, target, started, NO_ANSWER, repr(error))


async def read(ports: Sequence[int], rate: float, seed: int) -> None:
    """Ask for targets at random, `rate` times a second in all, until cancelled; replicas that are busy are left out."""
    random = Random(seed)
    notes = Notes()
    lanes = [[Wire(replica, port, notes) for _ in range(CONNECTIONS)] for replica, port in enumerate(ports)]
    requests = [request(target.path, ANALYST_KEY) for target in TARGETS]
    connecting = [asyncio.create_task(wire.keep_connected()) for lane in lanes for wire in lane]
    begun = framed = monotonic()
    due = 0
    while True:
        await asyncio.sleep(TICK_SECONDS)
        now = monotonic()
        behind = int((now - begun) * rate) - due
        due += behind
        for _ in range(min(behind, len(ports) * CONNECTIONS)):
            wire = next((each for each in random.choice(lanes) if each.idle), None)
            if wire is not None:
                target = random.randrange(len(TARGETS))
                wire.ask(target, requests[target])
        if now > framed + FRAME_SECONDS:
            framed = now
            sys.stdout.buffer.write(notes.frame())
            sys.stdout.buffer.flush()
        for task in connecting:
            if task.done():
                task.result()


if __name__ == "__main__":
    asked: Mapping[str, Any] = json.loads(sys.argv[1])
    uvloop.run(read(**asked))
