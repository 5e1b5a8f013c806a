"""What operators and their machines ask: health, metrics, statistics of the cache."""

import json
from dataclasses import asdict, dataclass
from typing import Literal

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.types import Receive, Scope, Send

from coherence.coherence import Coherence
from coherence.redis_client import RedisUnavailable, bounded
from service.database import Database
from service.health import Health
from service.metrics import Metrics
from service.responses import JSON, NO_STORE, respond


@dataclass(frozen=True, slots=True)
class Liveness:
    """The process answers."""

    status: Literal["alive"]


class Livez:
    """Says that the process answers."""

    async def __call__(self, scope: Scope, _: Receive, send: Send) -> None:
        """Answer a GET."""
        await respond(scope, send, 200, [JSON, NO_STORE], json.dumps(asdict(Liveness("alive"))).encode())


class Readyz:
    """Says whether requests should come here: 200 or 503, and why."""

    def __init__(self, health: Health) -> None:
        self._health = health

    async def __call__(self, scope: Scope, _: Receive, send: Send) -> None:
        """Answer a GET."""
        report = await self._health.report()
        await respond(scope, send, report.code, [JSON, NO_STORE], json.dumps(asdict(report)).encode())


class Exposition:
    """The Prometheus metrics."""

    def __init__(self, metrics: Metrics, *, coherence: Coherence, database: Database) -> None:
        self._metrics = metrics
        self._coherence = coherence
        self._database = database

    async def __call__(self, scope: Scope, _: Receive, send: Send) -> None:
        """Answer a GET."""
        self._metrics.sample(self._coherence, self._database)
        headers = [(b"content-type", CONTENT_TYPE_LATEST.encode()), NO_STORE]
        await respond(scope, send, 200, headers, self._metrics.exposition())


@dataclass(frozen=True, slots=True)
class RedisStats:
    """What Redis counts, of the whole server but for `keys_count`; `hit_rate` is in percent."""

    available: bool
    total_connections: int
    total_commands: int
    keyspace_hits: int
    keyspace_misses: int
    keys_count: int
    hit_rate: float


NO_REDIS = RedisStats(False, 0, 0, 0, 0, 0, 0.0)


@dataclass(frozen=True, slots=True)
class L1Stats:
    """The process' own cache."""

    entries: int
    bytes: int
    max_bytes: int


@dataclass(frozen=True, slots=True)
class ViewStats:
    """What the process knows: whether it may rely on its caches, and the newest generation that it has applied."""

    valid: bool
    generation: int
    process: str


@dataclass(frozen=True, slots=True)
class LeaseStats:
    """For how long it may."""

    seconds_left: float
    max_staleness_seconds: float


@dataclass(frozen=True, slots=True)
class CacheStats(RedisStats):
    """What Redis counts, and the process that answers has."""

    l1: L1Stats
    view: ViewStats
    lease: LeaseStats


class Stats:
    """The statistics of Redis, and of this process' own part of the cache."""

    def __init__(self, coherence: Coherence) -> None:
        self._coherence = coherence

    async def __call__(self, scope: Scope, _: Receive, send: Send) -> None:
        """Answer a GET; takes at most as long as a Redis command may."""
        coherence = self._coherence
        lease_left = coherence.lease_left
        stats = CacheStats(
            **asdict(await self._redis_stats()),
            l1=L1Stats(len(coherence.l1), coherence.l1.bytes, coherence.l1.max_bytes),
            view=ViewStats(lease_left > 0, coherence.view.generation, coherence.process),
            lease=LeaseStats(round(lease_left, 3), coherence.timing.bound),
        )
        await respond(scope, send, 200, [JSON, NO_STORE], json.dumps(asdict(stats)).encode())

    async def _redis_stats(self) -> RedisStats:
        try:
            async with bounded(self._coherence.redis_timeout):
                pipeline = self._coherence.redis.pipeline(transaction=False)
                pipeline.info("stats")
                pipeline.dbsize()
                info, keys = await pipeline.execute()
        except RedisUnavailable:
            return NO_REDIS
        hits, misses = info["keyspace_hits"], info["keyspace_misses"]
        return RedisStats(
            available=True,
            total_connections=info["total_connections_received"],
            total_commands=info["total_commands_processed"],
            keyspace_hits=hits,
            keyspace_misses=misses,
            keys_count=keys,
            hit_rate=round(100 * hits / (hits + misses), 2) if hits + misses else 0.0,
        )
