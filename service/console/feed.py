"""What the open consoles of this process are told: one task for all of them, which rests while there is none."""

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NoReturn

from coherence.events import Invalidated
from coherence.passing import Passing
from coherence.view import Received
from service.problems import unavailable

STATE_SECONDS = 1.0
"""How often the state is told. It is the heartbeat, too."""

TURN_SECONDS = 0.1
"""How long changes are gathered, to be told together."""

MOST_SUBSCRIBERS = 32
MOST_WAITING = 16
"""Frames that may wait for one who reads slowly, before it is dropped."""

MOST_CHANGES = 50
"""Changes that are told at once; of more, the newest."""

REMEMBERED = 20
"""Changes that one who has just come is told."""

State = Callable[[], Awaitable[Mapping[str, Any]]]


class Subscriber:
    """One open console: the frames that it has not been sent yet. It is to be left alone once `ended` is set."""

    def __init__(self) -> None:
        self.frames: asyncio.Queue[bytes] = asyncio.Queue(MOST_WAITING)
        self.ended = asyncio.Event()

    def tell(self, frame: bytes) -> None:
        """Have a frame sent; one who is too slow is dropped."""
        try:
            self.frames.put_nowait(frame)
        except asyncio.QueueFull:
            self.ended.set()


class Feed:
    """Tells its subscribers the state once a second, and the changes as they come.

    `process` names this process; `watched` is called with whether anybody looks on, whenever that changes.
    """

    def __init__(self, state: State, *, process: str, watched: Callable[[bool], None]) -> None:
        self._state = state
        self._process = process
        self._watched = watched
        self._subscribers: set[Subscriber] = set()
        self._somebody = asyncio.Event()
        self._closed = False
        self._latest: deque[Invalidated] = deque(maxlen=REMEMBERED)
        self._untold: deque[Invalidated] = deque(maxlen=MOST_CHANGES)
        self._passed = 0
        self._due = 0.0

    def note(self, event: Invalidated) -> None:
        """Take a change that was applied here."""
        if event.received is Received.OLD:
            return
        self._latest.append(event)
        if self._subscribers:
            self._untold.append(event)
            self._passed += 1

    def join(self) -> Subscriber:
        """Return a new subscriber, who is told at once what there is. Raises the 503 Problem where there are enough."""
        if self._closed or len(self._subscribers) >= MOST_SUBSCRIBERS:
            raise unavailable("console-busy", "too many consoles are open, or this process is about to stop")
        subscriber = Subscriber()
        subscriber.tell(frame("changes", {"changes": list(map(self._document, self._latest)), "left_out": 0}))
        self._subscribers.add(subscriber)
        self._due = 0.0
        self._somebody.set()
        return subscriber

    def leave(self, subscriber: Subscriber) -> None:
        """The subscriber is gone."""
        self._subscribers.discard(subscriber)

    def close(self) -> None:
        """End every subscription at once; there will be no other."""
        self._closed = True
        for subscriber in self._subscribers:
            subscriber.ended.set()

    async def run(self) -> NoReturn:
        """Tell, until cancelled."""
        while True:
            await self._somebody.wait()
            self._somebody.clear()
            self._watched(True)
            try:
                await self._serve()
            finally:
                self._watched(False)
                self._untold.clear()
                self._passed = 0

    async def _serve(self) -> None:
        clock = asyncio.get_running_loop().time
        while self._subscribers:
            if self._untold:
                changes = list(map(self._document, self._untold))
                self._tell("changes", {"changes": changes, "left_out": self._passed - len(changes)})
                self._untold.clear()
                self._passed = 0
            if clock() >= self._due:
                self._due = clock() + STATE_SECONDS
                self._tell("state", await self._state())
            await asyncio.sleep(TURN_SECONDS)

    def _tell(self, event: str, document: Mapping[str, Any]) -> None:
        told = frame(event, document)
        for subscriber in self._subscribers:
            subscriber.tell(told)

    def _document(self, event: Invalidated) -> dict[str, Any]:
        passing = Passing.of(event.bump)
        latency = None if event.latency is None else round(event.latency * 1000, 3)
        document = passing.as_document() | {"milliseconds": {self._process: latency}}
        # What was missed is not known: everything counts as changed.
        return document if event.received is Received.APPLIED else document | {"causes": ["gap"], "rows": None}


def frame(event: str, document: Mapping[str, Any]) -> bytes:
    """Return a server-sent event."""
    return b"event: %s\ndata: %s\n\n" % (event.encode(), json.dumps(document, separators=(",", ":")).encode())
