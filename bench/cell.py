"""One measurement of the hit rate: one mode, at one rate of writes."""

import asyncio
import multiprocessing
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from random import Random

from anomaly_cache.demo.servers import Servers
from bench.figures import percentile
from bench.oracle import Judgement, Oracle
from bench.processors import Snapshot
from bench.reading import HITS, Reader, Reads
from bench.scrape import Sample, scrape, total
from bench.system import System, system
from bench.workload import queries, read_rows
from bench.writing import Plan, Written, ready, write

BOUND_SECONDS = 2.0
"""CACHE_MAX_STALENESS_SECONDS, as the programs have it by default."""

START_SECONDS = 0.5
"""From the plan to its begin: the writer has to get it."""


@dataclass(frozen=True, slots=True)
class Load:
    """What is offered: reads a second, the share of new rows among the writes, and for how many seconds.

    `warm_up` seconds of it are not measured, but judged like the rest. `settings` are those of the programs.
    """

    reads: float
    inserts: float
    queries: int
    limit: int
    warm_up: float
    seconds: float
    settings: Mapping[str, str]
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Cell:
    """What was measured. Rates are per second; `l1` and `l2` are shares of all reads, and add up to the hit rate.

    `ceiling` is the hit rate of a cache that drops only what has changed; `joined` the share of the reads that shared
    the load of another, and count as misses. `changed` is the share of the loads that found another answer than the
    one before: the others were in vain. `cpu` is in processors.
    """

    mode: str
    updates: float
    updates_reached: float
    reads_reached: float
    hit_rate: float
    ceiling: float
    l1: float
    l2: float
    joined: float
    postgres_queries: float
    changed: float
    read_p50_ms: float
    read_p99_ms: float
    hit_p50_ms: float
    hit_p99_ms: float
    spared: float
    dropped: float
    rows_told: float
    rows_forgotten: float
    failures: int
    reads_checked: int
    violations: int
    impossible: int
    outdated: int
    oldest_ms: float
    cpu: dict[str, float]


async def measure(servers: Servers, name: str, mode: str, updates: float, load: Load, tick: Callable[[], None]) -> Cell:
    """Run one cell on a system of its own. `tick` is called now and then."""
    random = Random(load.seed)
    async with system(servers, name, {**load.settings, "CACHE_INVALIDATION": mode}) as made:
        rows = await asyncio.to_thread(read_rows, made.database_url)
        asked = queries(rows, amount=load.queries, limit=load.limit, random=random)
        reader = Reader(asked, [each.port for each in made.replicas], random)
        await reader.touch()
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            await asyncio.wrap_future(pool.submit(ready))
            begin = time.monotonic() + START_SECONDS
            middle, end = begin + load.warm_up, begin + load.warm_up + load.seconds
            plan = Plan(made.database_url, rows, updates, load.inserts, load.seed, begin, end)
            writing = asyncio.wrap_future(pool.submit(write, plan))
            gauging = asyncio.create_task(_gauge(made, middle, end))
            await reader.offer(load.reads, begin, end, tick)
            metrics, cpu = await gauging
            written = await writing
    oracle = await asyncio.to_thread(Oracle, rows, asked, written)
    judgement = await asyncio.to_thread(oracle.judge, reader.reads, BOUND_SECONDS)
    return _summary(mode, updates, load, reader.reads, written, metrics, cpu, judgement, middle, end)


async def _gauge(made: System, begin: float, end: float) -> tuple[Mapping[Sample, float], dict[str, float]]:
    """Return by how much each metric grew in that time, and how busy each program was."""
    ports = [each.port for each in made.replicas]
    await asyncio.sleep(begin - time.monotonic())
    before, earlier = await scrape(ports), Snapshot(made.processes())
    await asyncio.sleep(end - time.monotonic())
    after, later = await scrape(ports), Snapshot(made.processes())
    grown = {sample: value - before.get(sample, 0.0) for sample, value in after.items()}
    return grown, later.since(earlier, end - begin)


def _summary(
    mode: str,
    updates: float,
    load: Load,
    reads: Reads,
    written: list[Written],
    metrics: Mapping[Sample, float],
    cpu: dict[str, float],
    judgement: Judgement,
    begin: float,
    end: float,
) -> Cell:
    measured = [read for read in reads.done if begin <= read.ended < end]
    share = {layer: sum(read.layer == layer for read in measured) / len(measured) for layer in HITS}
    every = sorted(1000 * (read.ended - read.due) for read in measured)
    hits = sorted(1000 * (read.ended - read.due) for read in measured if read.layer in HITS)
    return Cell(
        mode=mode,
        updates=updates,
        updates_reached=sum(begin <= each.returned < end for each in written) / load.seconds,
        reads_reached=len(measured) / load.seconds,
        hit_rate=share["l1"] + share["l2"],
        ceiling=_ceiling(reads, begin, end),
        l1=share["l1"],
        l2=share["l2"],
        joined=sum(read.layer == "joined" for read in measured) / len(measured),
        postgres_queries=total(metrics, "cache_loads_total") / load.seconds,
        changed=_changed(reads),
        read_p50_ms=percentile(every, 50),
        read_p99_ms=percentile(every, 99),
        hit_p50_ms=percentile(hits, 50),
        hit_p99_ms=percentile(hits, 99),
        spared=total(metrics, "cache_entries_judged_total", verdict="spared") / load.seconds,
        dropped=total(metrics, "cache_entries_judged_total", verdict="dropped") / load.seconds,
        rows_told=total(metrics, "cache_changed_rows_total") / load.seconds / 2,
        rows_forgotten=total(metrics, "cache_changed_rows_forgotten_total") / load.seconds / 2,
        failures=len(reads.failures),
        reads_checked=judgement.checked,
        violations=judgement.stale + judgement.impossible,
        impossible=judgement.impossible,
        outdated=judgement.outdated,
        oldest_ms=1000 * judgement.oldest,
        cpu=cpu,
    )


def _changed(reads: Reads) -> float:
    """Return the share of the loads that found another answer than the one their replica had given before."""
    latest: dict[tuple[int, int], int] = {}
    loads = changed = 0
    for read in reads.done:
        place = (read.replica, read.query)
        if read.layer == "db" and place in latest:
            loads += 1
            changed += latest[place] != read.body
        latest[place] = read.body
    return changed / loads if loads else 1.0


def _ceiling(reads: Reads, begin: float, end: float) -> float:
    """Return the hit rate of a cache that knows in advance what changes: it misses where an answer is a new one."""
    latest: dict[int, int] = {}
    amount = same = 0
    for read in reads.done:
        if begin <= read.ended < end:
            amount += 1
            same += latest.get(read.query) == read.body
        latest[read.query] = read.body
    return same / amount
