"""The section of the report on growth."""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any

from bench.figures import table
from bench.growth import l1_entries, redis_keys, rows, subscribers
from bench.sections import Advance, Section
from bench.servers import prepare, running

SEEDED = 20_000
PATIENCE_SECONDS = 300.0
POSTGRES = {
    "synchronous_commit": "off",
    "fsync": "off",
    "shared_buffers": "512MB",
    "max_wal_size": "8GB",
    "autovacuum": "off",
}
FLAT = 1.5
"""What counts as flat: the last of a row of times at most this many times the first."""

CACHES = "(asked for at random, most entries are not in the processor's caches)"


async def _measure(quick: bool, advance: Advance) -> dict[str, Any]:
    result = {"l1_entries": await _part(l1_entries.measure(advance))}
    with running(POSTGRES) as servers:
        result["redis_keys"] = await _part(redis_keys.measure(servers.valkey.url, quick, advance))
        result["subscribers"] = await _part(subscribers.measure(servers.valkey.url, advance))
        await prepare(servers.postgres, SEEDED)
        result["rows"] = await _part(rows.measure(servers, quick, advance))
    return result


async def _part(measuring: Awaitable[list[dict[str, Any]]]) -> list[dict[str, Any]] | str:
    """Return what was measured, or why nothing was: the other parts go on."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await measuring
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told
        return f"Could not be run: {type(error).__name__} {error}"


def render(result: Mapping[str, Any]) -> str:
    """Return the tables in Markdown."""
    keys = (
        "Keys in Redis. A bump is what an invalidation costs here; SCAN and UNLINK of 200 keys is what it costs those\n"
    )
    entries = (
        "Entries in L1, of 100 bytes. The machine's own part is beside a hit: the same entries, found in a plain\n"
        "`dict`, and their body, tag and end touched. A hit is a whole "
    )
    parts = [
        (
            f"{keys}who find keys by a pattern{_flat(result['redis_keys'], 'p50')}.",
            "redis_keys",
            {"keys": "keys", "p50": "bump p50 ms", "p99": "bump p99 ms", "scan": "SCAN, UNLINK ms"},
        ),
        (
            f"{entries}`get_or_load`{_flat(result['l1_entries'], 'hit', CACHES)}.",
            "l1_entries",
            {"entries": "entries", "hit": "hit µs", "least": "plain dict µs", "change": "a change's arrival µs"},
        ),
        (
            "Processes that hear of a change, simulated by bare connections, all of which one process reads:",
            "subscribers",
            {"subscribers": "subscribers", "bump": "bump p50 ms", "p50": "last has heard, p50 ms", "p99": "p99 ms"},
        ),
        (
            "Rows in the table; medians of misses, and of an UPDATE of one row until a process is fresh:",
            "rows",
            {"rows": "rows", "page": "first 100 ms", "account": "100 of an account ms", "fresh": "COMMIT to fresh ms"},
        ),
    ]
    return "\n".join(f"{intro}\n\n{_table(result[name], heads)}" for intro, name, heads in parts)


def _table(records: Sequence[Mapping[str, float]] | str, heads: Mapping[str, str]) -> str:
    if isinstance(records, str):
        return f"{records}\n"
    first, *others = heads
    body = [[f"{record[first]:,.0f}", *(f"{record[name]:,.3g}" for name in others)] for record in records]
    return table(list(heads.values()), body)


def _flat(records: Sequence[Mapping[str, float]] | str, figure: str, why: str = "") -> str:
    if isinstance(records, str) or not records:
        return ""
    times = records[-1][figure] / records[0][figure]
    verdict = "flat" if times <= FLAT else f"**not flat** {why}".rstrip()
    return f": {verdict}, at the end {times:.2f} times what it was at first"


GROWTH = Section("growth", "What does it cost as things grow?", _measure, render)
