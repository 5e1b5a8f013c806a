"""How many connections a process' cache makes."""

import asyncio
from collections.abc import Callable

from redis.asyncio import Redis

from coherence.query import Query
from coherence.redis_client import CONTROL_CONNECTIONS
from tests.support.coherences import Deployment
from tests.support.own_servers import OwnValkey

POOL = 3
ROUNDS = 2
AT_ONCE = 50


async def test_connections_are_bounded_and_used_again(own_redis: Callable[..., OwnValkey]) -> None:
    """Many requests at once share REDIS_POOL_SIZE connections, beside those of the protocol; none is made anew."""
    deployment = Deployment(own_redis().url)
    async with (
        deployment.listener() as listener,
        listener.vouching(),
        deployment.replica(redis_pool_size=POOL) as replica,
    ):
        await replica.caching()
        before = await _connections_made(listener.redis)
        for number in range(ROUNDS):
            queries = [Query("anomalies", {"limit": limit, "offset": number}) for limit in range(AT_ONCE)]
            await asyncio.gather(*(replica.get(query) for query in queries))
            for query in queries:
                await replica.stored(query)
        made = await _connections_made(listener.redis) - before
    assert 0 < made <= POOL + CONTROL_CONNECTIONS


async def _connections_made(redis: Redis) -> int:
    return int((await redis.info("stats"))["total_connections_received"])
