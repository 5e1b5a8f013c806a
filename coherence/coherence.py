"""One process' part in the protocol, wired: a view fed by the backplane, the caches, and the announcing of changes."""

import asyncio
import math
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from redis.asyncio import Redis

from coherence.acknowledgements import Acknowledgements
from coherence.answer import Answer
from coherence.auditor import Auditor, Reread
from coherence.backplane import Backplane
from coherence.cache import Cache
from coherence.changes import Change
from coherence.clock import Clock, RedisClock, monotonic
from coherence.coder import Coder
from coherence.coding import ZSTD
from coherence.commands import AT_ONCE
from coherence.events import Acknowledged, Observer, Operated, ignore
from coherence.explain import Explainer, Explanation
from coherence.gate import Gate, Unavailable
from coherence.generation import GenerationKey, untraced
from coherence.history import History
from coherence.keys import Names
from coherence.l1 import L1
from coherence.l2 import L2
from coherence.loading import Load
from coherence.policy import PROVEN_ONLY, Policy, staleness_bound
from coherence.query import Query
from coherence.redis_client import CONTROL_CONNECTIONS, RedisUnavailable, connect, database_of
from coherence.settings import CoherenceSettings
from coherence.stale import StaleIfError
from coherence.sweep import sweep
from coherence.tasks import end
from coherence.timing import Timing
from coherence.view import View

LOAD_PATIENCE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Published:
    """What became of an announcement: `generation` is None where Redis could not be reached.

    `acknowledged` of the `expected` processes said in time that they have it.
    """

    generation: int | None
    acknowledged: int = 0
    expected: int = 0


class Coherence:
    """One process' cache. Use `running()` around everything else.

    `l1_bytes` bounds the local cache, `max_loads` the loads at once, `ack_timeout` (seconds) the wait for the other
    processes after a change, `kept_changes` the changed rows that are remembered. `fleet_patience` (seconds) bounds the
    wait for another process' load, `refresh_ahead` is the last part of a TTL in which a hit has its answer loaded anew;
    0 turns each off. `codings` are those that bodies may be compressed with; with zstd among them, Redis holds them so.
    `policy` says what is served though it cannot be proven fresh. `audit_rate` is the share of hits that `reread` looks
    at again. `observer` gets every event, `trace` returns the trace context that a bump is made in ("" for none).
    """

    def __init__(
        self,
        settings: CoherenceSettings,
        *,
        l1_bytes: int = 64 * 2**20,
        max_loads: int = 8,
        ack_timeout: float = 0.1,
        kept_changes: int = 4096,
        fleet_patience: float = 0.5,
        refresh_ahead: float = 0.1,
        codings: Sequence[str] = (ZSTD,),
        policy: Policy = PROVEN_ONLY,
        audit_rate: float = 0.0,
        reread: Reread | None = None,
        observer: Observer = ignore,
        trace: Callable[[], str] = untraced,
        clock: Clock = monotonic,
    ) -> None:
        timing = Timing.from_bound(settings.cache_max_staleness_seconds)
        self.redis: Redis = connect(settings, connections=max(AT_ONCE + 1, settings.redis_pool_size))
        self._control: Redis = connect(settings, connections=CONTROL_CONNECTIONS)
        self.names = Names(settings.cache_prefix, database_of(self.redis))
        self.timing = timing
        self.process = secrets.token_hex(8)
        self.policy = policy
        self.view = View(
            timing.lease,
            until_ttl=policy.until_ttl,
            by_rows=settings.cache_invalidation == "rows",
            history=History(kept_changes),
        )
        self.l1 = L1(l1_bytes)
        self.redis_timeout = settings.redis_timeout_ms / 1000
        self._clock = clock
        self._observe = observer
        self._ack_timeout = ack_timeout
        self._acknowledgements = Acknowledgements()
        redis_clock = RedisClock()
        self.coder = Coder(codings, self.l1, observer)
        self._l2 = L2(self.redis, self.names, observer, self.redis_timeout, self.coder)
        self.backplane = Backplane(
            redis=self._control,
            names=self.names,
            key=GenerationKey(self._control, self.names, self.redis_timeout, trace),
            view=self.view,
            redis_clock=redis_clock,
            acknowledgements=self._acknowledgements,
            process=self.process,
            poll_interval=timing.poll_interval,
            timeout=self.redis_timeout,
            clock=clock,
            observer=observer,
            on_answer=self._l2.resume,
        )
        gate = Gate(max_loads, LOAD_PATIENCE_SECONDS)
        self.auditor = Auditor(self.view, timing, reread, gate=gate, clock=clock, observer=observer) if reread else None
        self._cache = Cache(
            view=self.view,
            redis_clock=redis_clock,
            l1=self.l1,
            l2=self._l2,
            gate=gate,
            clock=clock,
            observer=observer,
            fleet_patience=fleet_patience,
            refresh_ahead=refresh_ahead,
            auditing=self.auditor.sampler(audit_rate) if self.auditor else None,
        )
        self.stale = StaleIfError(
            policy.stale_if_error,
            view=self.view,
            redis_clock=redis_clock,
            l1=self.l1,
            l2=self._l2,
            clock=clock,
            observer=observer,
        )
        self.peek = self._cache.peek
        self.tell = self._cache.tell
        self.forget = self._l2.forget
        self.text = self._l2.text
        self._explainer = Explainer(view=self.view, redis_clock=redis_clock, l1=self.l1, l2=self._l2, clock=clock)
        self._sweeps: set[asyncio.Task[int]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        """Run the background tasks as one, and yield it: it ends only by failing, and the caller has to watch it."""
        task = asyncio.create_task(self._run(), name="coherence")
        try:
            yield task
        finally:
            await end(task)
            await self._cache.close()
            await self._l2.close()
            await self.coder.close()
            await end(*self._sweeps)
            await self.redis.aclose()
            await self._control.aclose()

    async def _run(self) -> None:
        tasks = [
            asyncio.create_task(self.backplane.listen(), name="backplane-listen"),
            asyncio.create_task(self.backplane.poll(), name="backplane-poll"),
            asyncio.create_task(self.backplane.acknowledge(), name="backplane-acknowledge"),
        ]
        if self.auditor is not None:
            tasks.append(asyncio.create_task(self.auditor.run(), name="auditor"))
        try:
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()
        finally:
            await end(*tasks)

    async def get_or_load(
        self,
        query: Query,
        load: Load,
        *,
        ttl: float,
        bypass: str | None = None,
        at_least: int = 0,
        max_age: float = math.inf,
        only_cached: bool = False,
        stale_if_error: float = math.inf,
    ) -> Answer:
        """See `Cache.get_or_load`.

        Where that raises Unavailable, and the policy has it, what was right `stale_if_error` seconds ago will do: but
        for a caller with a reason to bypass the caches.
        """
        try:
            answer = await self._cache.get_or_load(
                query, load, ttl=ttl, bypass=bypass, at_least=at_least, max_age=max_age, only_cached=only_cached
            )
        except Unavailable:
            within = stale_if_error if bypass is None else 0.0
            kept = await self.stale.find(query, at_least=at_least, within=within)
            if kept is None:
                raise
            return kept
        if answer.layer == "db":
            self.stale.in_use = False
        return answer

    async def explain(self, query: Query) -> Explanation:
        """See `Explainer.explain`."""
        return await self._explainer.explain(query)

    async def publish(self, changes: Sequence[Change]) -> Published:
        """Announce committed changes: bump, apply here, and wait a while until all processes have applied them (I6).

        Never raises for a fault of Redis: then this process distrusts its caches until the changes have been announced.
        """
        started = time.perf_counter()
        try:
            generation, expected = await self.backplane.announce(list(changes), acknowledge=True)
        except RedisUnavailable as error:
            self._observe(Operated("publish", time.perf_counter() - started, str(error)))
            return Published(None)
        self._observe(Operated("publish", time.perf_counter() - started))
        waiting = time.perf_counter()
        acknowledged = await self._acknowledgements.wait(generation, expected, self._ack_timeout)
        self._observe(Acknowledged(acknowledged, expected, time.perf_counter() - waiting))
        return Published(generation, acknowledged, expected)

    def sweep(self, namespace: str) -> None:
        """Remove the outdated entries of `namespace` from Redis, in the background."""
        work = sweep(self.redis, self.names, namespace, self.view.generation, self._observe, self.redis_timeout)
        task = asyncio.create_task(work, name=f"sweep {namespace}")
        self._sweeps.add(task)
        task.add_done_callback(self._sweeps.discard)

    @property
    def lease_left(self) -> float:
        """Seconds for which the view may still be relied on; 0 where it may not."""
        now = self._clock()
        return self.view.valid_until - now if self.view.valid(now) else 0.0

    @property
    def staleness_bound(self) -> float:
        """How old an answer that is given now can be at most, in seconds: see `policy.staleness_bound`."""
        return staleness_bound(
            self.view, self.policy, self._clock(), longest_ttl=self.l1.longest_ttl, failing=self.stale.in_use
        )
