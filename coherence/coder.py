"""Makes coded forms of entries' bodies, once each, off the event loop but where that would keep it for longer."""

import asyncio
import time
from collections.abc import Sequence

from coherence.coding import CODINGS, LEAST_BYTES, WORTHWHILE, ZSTD
from coherence.entry import Entry
from coherence.events import Coded, Observer
from coherence.l1 import L1
from coherence.tasks import end

MOST_PENDING = 100
AT_ONCE = 1
IN_PLACE_BYTES = 65_536
"""Up to this, zstd keeps the event loop for less time than handing the body to a thread, and taking it back, does."""


class Coder:
    """Compresses with those of `codings` that are asked for, a body at a time: in a thread, or at once if it is fast.

    What it makes is in `Entry.coded`, where it counts towards L1's bytes; the empty bytes there say that a coding does
    not make the body enough smaller to be kept.
    """

    def __init__(self, codings: Sequence[str], l1: L1, observer: Observer) -> None:
        self.codings = tuple(codings)
        self._l1 = l1
        self._observe = observer
        self._tasks: dict[tuple[int, str], asyncio.Task[bytes]] = {}
        self._thread = asyncio.Semaphore(AT_ONCE)

    def begin(self, entry: Entry, coding: str) -> None:
        """Have `entry` coded, unless it is, or too many wait for that already."""
        if coding not in entry.coded and len(self._tasks) < MOST_PENDING:
            self._task(entry, coding)

    async def coded(self, entry: Entry, coding: str) -> bytes:
        """Return the body in `coding`; no bytes where it is not kept in that."""
        found = entry.coded.get(coding)
        return found if found is not None else await asyncio.shield(self._task(entry, coding))

    async def code(self, body: bytes, coding: str) -> bytes:
        """Return `body` in `coding`, however long that is."""
        if coding == ZSTD and len(body) <= IN_PLACE_BYTES:
            return CODINGS[coding](body)
        async with self._thread:
            return await asyncio.to_thread(CODINGS[coding], body)

    def _task(self, entry: Entry, coding: str) -> asyncio.Task[bytes]:
        name = id(entry), coding
        task = self._tasks.get(name)
        if task is None:
            task = self._tasks[name] = asyncio.create_task(self._make(entry, coding), name=f"coding {coding}")
            task.add_done_callback(lambda _: self._tasks.pop(name))
        return task

    async def _make(self, entry: Entry, coding: str) -> bytes:
        coded = b""
        if len(entry.body) >= LEAST_BYTES:
            started = time.perf_counter()
            coded = await self.code(entry.body, coding)
            self._observe(Coded(coding, time.perf_counter() - started, len(entry.body), len(coded)))
        entry.coded[coding] = coded if len(coded) <= WORTHWHILE * len(entry.body) else b""
        self._l1.grown(entry)
        return entry.coded[coding]

    async def close(self) -> None:
        """Cancel what is under way."""
        await end(*self._tasks.values())
