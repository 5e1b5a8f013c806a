"""Removes a namespace's outdated entries from Redis. Hygiene only: no reader relies on it."""

import time

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from coherence.entry import STAMP_REACH, stamp_of
from coherence.events import Observer, Operated
from coherence.keys import Names
from coherence.redis_client import RedisUnavailable, bounded

BATCH = 500


async def sweep(redis: Redis, names: Names, namespace: str, generation: int, observer: Observer, timeout: float) -> int:
    """Unlink the entries of `namespace` that are stamped before `generation`; return how many there were.

    Entries that were loaded since are kept, and so a busy namespace does not lose what it has just cached. Whatever
    else lies under the namespace's keys is removed. `timeout` in seconds bounds each command, not the sweep, which
    takes its time in small steps. A fault of Redis ends it; that is reported to `observer`.
    """
    started = time.perf_counter()
    removed, cursor = 0, 0
    try:
        while True:
            async with bounded(timeout):
                cursor, keys = await redis.scan(cursor, match=names.entries(namespace), count=BATCH)
            if keys:
                outdated = await _outdated(redis, keys, generation, timeout)
                if outdated:
                    async with bounded(timeout):
                        removed += await redis.unlink(*outdated)
            if cursor == 0:
                break
    except RedisUnavailable as error:
        observer(Operated("sweep", time.perf_counter() - started, str(error)))
    else:
        observer(Operated("sweep", time.perf_counter() - started))
    return removed


async def _outdated(redis: Redis, keys: list[bytes | str], generation: int, timeout: float) -> list[bytes | str]:
    pipeline = redis.pipeline(transaction=False)
    for key in keys:
        pipeline.getrange(key, 0, STAMP_REACH - 1)
    async with bounded(timeout):
        fronts = await pipeline.execute(raise_on_error=False)
    outdated: list[bytes | str] = []
    for key, front in zip(keys, fronts, strict=True):
        if isinstance(front, bytes):
            stamp = stamp_of(front)
        elif isinstance(front, ResponseError):
            stamp = None
        else:
            continue
        if stamp is None or stamp < generation:
            outdated.append(key)
    return outdated
