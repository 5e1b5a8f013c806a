"""Sweeps outdated entries out of Redis, in the background and never in a hurry: no reader relies on it."""

import asyncio
import time
from collections.abc import Iterable

from redis.asyncio import Redis

from coherence.events import Event as CoherenceEvent
from coherence.events import Operated
from coherence.keys import Names
from coherence.sweep import sweep
from listener.events import Observer, Swept

REST = 5
"""A sweep is followed by a rest this many times as long, so that a busy namespace costs Redis a sixth of its time."""

LEAST_REST = 0.1
"""… and at least this long, in seconds."""

FAULT_REST = 1.0
"""How long after a fault of Redis a sweep is tried again, in seconds."""

_PROTOCOL = "coherence"  # the namespace of the protocol's own keys, where no entries are


class Sweeper:
    """Remembers the latest generation to sweep each namespace for, and sweeps one namespace after the other."""

    def __init__(self, redis: Redis, names: Names, *, timeout: float, observer: Observer) -> None:
        """Use `redis`; `timeout` bounds each command, in seconds."""
        self._redis = redis
        self._names = names
        self._timeout = timeout
        self._observe = observer
        self._asked: dict[str, int] = {}
        self._wake = asyncio.Event()

    def ask(self, namespaces: Iterable[str], generation: int) -> None:
        """Have the entries of `namespaces` stamped before `generation` swept, soon."""
        for namespace in namespaces:
            if namespace != _PROTOCOL:
                self._asked[namespace] = generation
                self._wake.set()

    async def run(self) -> None:
        """Sweep what is asked for, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._asked:
                namespace = next(iter(self._asked))
                generation = self._asked.pop(namespace)
                swept = await self._sweep(namespace, generation)
                if swept.problem is not None:
                    self._asked.setdefault(namespace, generation)
                await asyncio.sleep(max(LEAST_REST if swept.problem is None else FAULT_REST, REST * swept.seconds))

    async def _sweep(self, namespace: str, generation: int) -> Swept:
        problem: str | None = None

        def note(event: CoherenceEvent) -> None:
            nonlocal problem
            if isinstance(event, Operated):
                problem = event.error

        started = time.perf_counter()
        entries = await sweep(self._redis, self._names, namespace, generation, note, self._timeout)
        swept = Swept(namespace, entries, time.perf_counter() - started, problem)
        self._observe(swept)
        return swept
