"""A lease without a listener: for tests in which nothing changes but through the API."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from coherence.clock import monotonic
from coherence.generation import GenerationKey
from coherence.keys import Names
from coherence.redis_client import RedisUnavailable, connect, database_of
from coherence.settings import CoherenceSettings
from coherence.timing import Timing

NAMESPACES = ("anomalies", "transactions")


@asynccontextmanager
async def leased(settings: CoherenceSettings) -> AsyncIterator[None]:
    """Keep the lease renewed, whatever Postgres says, until the end of the block."""
    redis = connect(settings, connections=1)
    timing = Timing.from_bound(settings.cache_max_staleness_seconds)
    key = GenerationKey(redis, Names(settings.cache_prefix, database_of(redis)), timeout=1.0)

    async def renew() -> None:
        floor = 0
        while True:
            try:
                now_us, at = await key.time_us(), monotonic()
                floor = (
                    await key.renew(now_us, monotonic() - at, timing.lease, floor, namespaces=NAMESPACES)
                ).generation
            except RedisUnavailable:
                pass  # as a listener would, try again
            await asyncio.sleep(timing.renew_interval)

    task = asyncio.create_task(renew(), name="lease")
    try:
        yield
    finally:
        while not task.done():
            task.cancel()  # again and again: redis-py's use of asyncio.wait_for loses one on Python 3.11
            await asyncio.wait([task], timeout=0.1)
        await redis.aclose()
