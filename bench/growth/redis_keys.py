"""What invalidating costs, by how many keys Redis holds."""

import time
from typing import Any

from redis.asyncio import Redis

from bench.figures import percentile
from bench.sections import Advance
from coherence.changes import Change
from coherence.generation import GenerationKey
from coherence.keys import Names

KEYS = (10, 1_000, 100_000, 1_000_000)
BUMPS = 300
TAGGED = 200
BATCH = 10_000
TIMEOUT = 60.0


async def measure(url: str, quick: bool, advance: Advance) -> list[dict[str, Any]]:
    """Return, for each number of keys, ms of a bump, and of the SCAN and UNLINK that others invalidate by."""
    found = []
    async with Redis.from_url(url) as redis:
        await redis.flushall()
        key = GenerationKey(redis, Names(), TIMEOUT)
        there = 0
        for keys in KEYS[: -1 if quick else None]:
            advance(f"{keys:,} keys in Redis")
            for first in range(there, keys, BATCH):
                await redis.mset({f"other:{number}": b"x" * 50 for number in range(first, min(first + BATCH, keys))})
            there = keys
            times = sorted([await _bump(key) for _ in range(BUMPS)])
            scan = await _scan_and_unlink(redis)
            found.append({"keys": keys, "p50": percentile(times, 50), "p99": percentile(times, 99), "scan": scan})
        await redis.flushall()
    return found


async def _bump(key: GenerationKey) -> float:
    began = time.perf_counter()
    await key.bump(0, [Change("anomalies", "update", 1)])
    return 1000 * (time.perf_counter() - began)


async def _scan_and_unlink(redis: Redis) -> float:
    await redis.mset({f"anomalies:{number}": b"x" for number in range(TAGGED)})
    began = time.perf_counter()
    doomed = [key async for key in redis.scan_iter("anomalies:*", count=1000)]
    await redis.unlink(*doomed)
    return 1000 * (time.perf_counter() - began)
