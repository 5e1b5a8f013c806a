"""The daemon: find Postgres, wait for one's turn, serve, and begin again whenever the session is lost."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from coherence.clock import Clock, monotonic
from coherence.generation import GenerationKey
from coherence.timing import Timing
from listener.active import Active
from listener.events import Disconnected, Observer, RoleTaken
from listener.ledger import Ledger
from listener.lock import Lock
from listener.seat import Seat, Superseded
from listener.session import SessionLost, StatementFailed
from listener.source import Source, Unsuitable
from listener.standby import Standby
from listener.sweeper import Sweeper

LONGEST_INTERVAL = 2.0
"""Most seconds between two renewals, however long the lease: a dead session or a repaired trigger shows as soon."""

LONGEST_TICK = 0.2
"""Most seconds between two of a standby's tries for the lock."""

LONGEST_STATEMENT = 10.0
"""Most seconds that a statement may take, however long the lease."""

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 0.5
"""Seconds before connecting again: at first, and at most."""


def statement_limit(timing: Timing) -> float:
    """Return the longest that a statement may take, in seconds, for a hung Postgres to show within the lease."""
    return min(LONGEST_STATEMENT, timing.lease - timing.renew_interval)


class Listener:
    """One listener.

    `open_source` connects to Postgres, `key` and `sweeper` lead to Redis; `lock` tells a deployment's listeners from
    those of others. Unless `by_rows`, caches are told of namespaces only.
    """

    def __init__(
        self,
        open_source: Callable[[], AbstractAsyncContextManager[Source]],
        *,
        key: GenerationKey,
        sweeper: Sweeper,
        lock: int,
        timing: Timing,
        by_rows: bool = True,
        observer: Observer,
        clock: Clock = monotonic,
    ) -> None:
        self._open_source = open_source
        self._key = key
        self._sweeper = sweeper
        self._lock = lock
        self._timing = timing
        self._observe = observer
        self._clock = clock
        self._ledger = Ledger(by_rows=by_rows)
        self._interval = min(timing.renew_interval, LONGEST_INTERVAL)
        self._source: Source | None = None
        self._suitable = False
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """Have `run` return soon. The lease goes on to its end: what it vouches for stays true."""
        self._stop.set()
        if self._source is not None:
            self._source.session.cut("stopping")

    async def run(self) -> None:
        """Listen until stopped. Raises Unsuitable if the first server that answers cannot serve a listener."""
        pause = FIRST_PAUSE
        while not self._stop.is_set():
            try:
                async with self._open_source() as self._source:
                    self._suitable = True
                    pause = FIRST_PAUSE
                    await self._use(self._source)
            except Unsuitable as unsuitable:
                # Once one was suitable, this is a failover's doing, and passes.
                if not self._suitable:
                    raise
                reason = str(unsuitable)
            except (SessionLost, StatementFailed) as error:
                reason = str(error)
            finally:
                self._source = None
            if not self._stop.is_set():
                self._observe(Disconnected(reason))
                await self._wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    async def _use(self, source: Source) -> None:
        """Wait for the turn and serve, again and again on one session."""
        while not self._stop.is_set():
            seat = Seat(Lock(source.session, self._lock), self._observe)
            reason = await self._standby(seat).turn()
            self._observe(RoleTaken("active", reason))
            try:
                await self._active(source, seat).serve()
            except Superseded:
                await source.unlisten()

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        except TimeoutError:
            return

    def _standby(self, seat: Seat) -> Standby:
        return Standby(
            seat,
            self._key,
            tick=min(self._interval, LONGEST_TICK),
            patience=self._timing.lease / 2,
            observer=self._observe,
            clock=self._clock,
        )

    def _active(self, source: Source, seat: Seat) -> Active:
        return Active(
            source,
            seat,
            key=self._key,
            ledger=self._ledger,
            sweeper=self._sweeper,
            timing=self._timing,
            interval=self._interval,
            observer=self._observe,
            clock=self._clock,
        )
