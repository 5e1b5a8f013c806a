"""How soon all processes have heard of a change, by how many there are; they are simulated, as bare connections."""

import asyncio
import resource
import time
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import urlsplit

from redis.asyncio import Redis

from bench.figures import percentile
from bench.sections import Advance
from coherence.changes import Change
from coherence.generation import GenerationKey
from coherence.keys import Names

SUBSCRIBERS = (1, 10, 100, 1_000)
BUMPS = 50
PATIENCE_SECONDS = 10.0
SPARE_FILES = 200


class _Subscriber(asyncio.Protocol):
    def __init__(self, heard: "_Heard") -> None:
        self._heard = heard

    def data_received(self, _: bytes) -> None:
        self._heard.one()


class _Heard:
    """Counts those who have heard, and notes when the last one did."""

    def __init__(self) -> None:
        self._left = 0
        self._all = asyncio.Event()
        self.at = 0.0

    def expect(self, number: int) -> None:
        self._left = number
        self._all.clear()

    def one(self) -> None:
        self._left -= 1
        if self._left <= 0:
            self.at = time.perf_counter()
            self._all.set()

    async def by_all(self) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self._all.wait()


async def measure(url: str, advance: Advance) -> list[dict[str, Any]]:
    """Return, for each number of subscribers, ms from the begin of a bump until it has returned, and all have heard."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = SUBSCRIBERS[-1] + SPARE_FILES
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(needed, hard)), hard))
    found = []
    for subscribers in SUBSCRIBERS:
        advance(f"{subscribers:,} subscribers")
        found.append({"subscribers": subscribers, **await _measure(url, subscribers)})
    return found


async def _measure(url: str, subscribers: int) -> dict[str, float]:
    heard = _Heard()
    server = urlsplit(url)
    loop = asyncio.get_running_loop()
    returned, last = [], []
    async with Redis.from_url(url) as redis, AsyncExitStack() as stack:
        key = GenerationKey(redis, Names(), PATIENCE_SECONDS)
        for _ in range(subscribers):
            heard.expect(1)
            transport, _protocol = await loop.create_connection(
                lambda: _Subscriber(heard), server.hostname or "", server.port or 0
            )
            stack.callback(transport.close)
            transport.write(b"SUBSCRIBE %s\r\n" % Names().changes.encode())
            await heard.by_all()
        for _ in range(BUMPS):
            heard.expect(subscribers)
            began = time.perf_counter()
            await key.bump(0, [Change("anomalies", "update", 1)])
            returned.append(1000 * (time.perf_counter() - began))
            await heard.by_all()
            last.append(1000 * (heard.at - began))
    return {
        "bump": percentile(sorted(returned), 50),
        "p50": percentile(sorted(last), 50),
        "p99": percentile(sorted(last), 99),
    }
