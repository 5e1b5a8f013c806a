"""One load of an answer for all processes: the first takes the turn, the others wait a little for what it stores.

It saves loads, and proves nothing: what another process has loaded is judged like any entry in Redis (I2), and whoever
finds no turn, no Redis or no answer in time loads for itself.
"""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from coherence.changes import parse_generation
from coherence.clock import Clock
from coherence.entry import Entry
from coherence.events import Observer, TurnTaken
from coherence.l2 import L2
from coherence.query import Query
from coherence.view import View

FIRST_LOOK_SECONDS = 0.001
LAST_LOOK_SECONDS = 0.02
"""A turn is looked at again after the first, and then ever more seldom."""


@dataclass(frozen=True, slots=True)
class Turn:
    """The turn to load an answer, ours or another process': the generation that it was taken at, and a token."""

    value: bytes
    ours: bool

    @property
    def stamp(self) -> int | None:
        """The generation; None where it cannot be read."""
        return parse_generation(self.value.partition(b" ")[0])


class FleetFlight:
    """Takes, awaits and ends turns. `patience` is how long another's is waited for, in seconds; 0: there are none.

    A turn ends by itself after `patience`: a process that has died holds nobody up for longer.
    """

    def __init__(
        self,
        *,
        view: View,
        l2: L2,
        clock: Clock,
        observer: Observer,
        patience: float,
    ) -> None:
        self._view = view
        self._l2 = l2
        self._clock = clock
        self._observe = observer
        self._patience = patience

    async def share(self, query: Query, look: Callable[[], Awaitable[Entry | None]]) -> tuple[Entry | None, bytes]:
        """Return what `look` finds of another process' load, or else None and our turn; empty: we load without one."""
        began = time.perf_counter()
        turn = await self.take(query)
        waited = False
        while turn is not None and not turn.ours:
            waited = True
            if not await self._ended(query, turn, began + self._patience):
                turn = None
                break
            found = await look()
            if found is not None:
                self._observe(TurnTaken(query.namespace, "shared", time.perf_counter() - began))
                return found, b""
            turn = await self.take(query)
        if turn is not None or waited:
            outcome: Literal["won", "timeout"] = "timeout" if turn is None else "won"
            self._observe(TurnTaken(query.namespace, outcome, time.perf_counter() - began))
        return None, turn.value if turn is not None else b""

    async def take(self, query: Query) -> Turn | None:
        """Take the turn, and return whose it is now; None where there are no turns, or Redis does not answer.

        A turn that was taken before a change that affects the answer is taken over.
        """
        turn = await self._swap(query, b"")
        if turn is not None and not turn.ours and not self._worth(query, turn):
            turn = await self._swap(query, turn.value)
        return turn

    async def _swap(self, query: Query, outdated: bytes) -> Turn | None:
        if not self._patience or not self._view.serves(query.namespace, self._clock()):
            return None
        ours = b"%d %s" % (self._view.generation, secrets.token_hex(8).encode())
        held = await self._l2.take_turn(query, ours, self._patience, outdated)
        return None if held is None else Turn(held, ours=held == ours)

    def _worth(self, query: Query, turn: Turn) -> bool:
        """Tell whether what is loaded in `turn` can be good for a request now. From ahead of us, it will be."""
        stamp = turn.stamp
        return stamp is not None and (stamp > self._view.generation or self._view.unaffected(query, stamp))

    async def _ended(self, query: Query, turn: Turn, deadline: float) -> bool:
        """Wait for the end of another's turn; return whether it came in time, and is worth looking at."""
        delay = FIRST_LOOK_SECONDS
        while (left := deadline - time.perf_counter()) > 0:
            await asyncio.sleep(min(delay, left))
            delay = min(1.5 * delay, LAST_LOOK_SECONDS)
            if not self._view.serves(query.namespace, self._clock()):
                return False
            held = await self._l2.turn(query)
            if held is None:
                return False
            if held != turn.value or not self._worth(query, turn):
                return True
        return False
