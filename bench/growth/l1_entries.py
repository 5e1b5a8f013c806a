"""What a hit in the process' own cache costs, by how many entries it holds."""

import time
from random import Random
from typing import Any

from redis.asyncio import Redis

from bench.sections import Advance
from coherence.cache import Cache
from coherence.changes import Bump, Change
from coherence.clock import RedisClock, monotonic
from coherence.coder import Coder
from coherence.entry import Entry, etag_of
from coherence.events import ignore
from coherence.gate import Gate
from coherence.keys import Names
from coherence.l1 import L1, Kept
from coherence.l2 import L2
from coherence.query import Query
from coherence.view import View

ENTRIES = (10, 1_000, 10_000, 100_000)
LOOKUPS = 20_000
ROUNDS = 5
BODY = b"x" * 100
HOUR = 3600.0
L1_BYTES = 2**31


async def measure(advance: Advance) -> list[dict[str, Any]]:
    """Return, for each number of entries, µs of a hit through the whole of `get_or_load`, and of a change's arrival.

    And of what no cache can do without: finding a query's entry in a plain dict, and touching its body, tag and end.
    """
    found = []
    for entries in ENTRIES:
        advance(f"{entries:,} entries in L1")
        view = View(HOUR)
        view.subscribed()
        view.polled(view.poll(monotonic()), 1, HOUR)
        l1 = L1(L1_BYTES)
        l2 = L2(Redis(), Names(), ignore, 1.0, Coder((), l1, ignore))
        l2.suspended = True
        cache = Cache(
            view=view, redis_clock=RedisClock(), l1=l1, l2=l2, gate=Gate(1, 1.0), clock=monotonic, observer=ignore
        )
        queries = [Query("anomalies", {"offset": number}) for number in range(entries)]
        for query in queries:
            l1.put(Entry(query, 1, 0.0, HOUR, etag_of(BODY), BODY), monotonic() + HOUR)
        asked = Random(1).choices(queries, k=LOOKUPS)
        plain = {query.key: kept for query in queries if (kept := l1.get(query.key)) is not None}
        # By turns, so that what the machine does beside falls on both alike.
        rounds = [(await _hits(cache, asked), _least(plain, asked)) for _ in range(ROUNDS)]
        hit, least = (min(times) for times in zip(*rounds, strict=True))
        found.append({"entries": entries, "hit": hit, "least": least, "change": _changes(view)})
    return found


async def _never() -> bytes:
    raise AssertionError


async def _hits(cache: Cache, asked: list[Query]) -> float:
    began = time.perf_counter()
    for query in asked:
        await cache.get_or_load(query, _never, ttl=HOUR)
    return 1e6 * (time.perf_counter() - began) / LOOKUPS


def _least(plain: dict[str, Kept], asked: list[Query]) -> float:
    began = time.perf_counter()
    for query in asked:
        kept = plain[query.key]
        kept.entry.body, kept.entry.etag, kept.ends  # noqa: B018 - looking at them is what is measured
    return 1e6 * (time.perf_counter() - began) / LOOKUPS


def _changes(view: View) -> float:
    bumps = [Bump(number, number + 1, (Change("anomalies", "update", 1),), 0.0) for number in range(1, 1001)]
    began = time.perf_counter()
    for bump in bumps:
        view.receive(bump)
    return 1e6 * (time.perf_counter() - began) / len(bumps)
