"""The section of the report on growth."""

from collections.abc import Mapping, Sequence
from typing import Any

from bench.figures import table
from bench.growth import l1_entries, redis_keys, rows, subscribers
from bench.sections import Advance, Section
from bench.servers import prepare, running

SEEDED = 20_000
POSTGRES = {
    "synchronous_commit": "off",
    "fsync": "off",
    "shared_buffers": "512MB",
    "max_wal_size": "8GB",
    "autovacuum": "off",
}
FLAT = 1.5
"""What counts as flat: the last of a row of times at most this many times the first."""


async def _measure(quick: bool, advance: Advance) -> dict[str, Any]:
    result: dict[str, Any] = {"l1_entries": await l1_entries.measure(advance)}
    with running(POSTGRES) as servers:
        result["redis_keys"] = await redis_keys.measure(servers.valkey.url, quick, advance)
        result["subscribers"] = await subscribers.measure(servers.valkey.url, advance)
        await prepare(servers.postgres, SEEDED)
        result["rows"] = await rows.measure(servers, quick, advance)
    return result


def render(result: Mapping[str, Any]) -> str:
    """Return the tables in Markdown."""
    keys = _table(
        result["redis_keys"], {"keys": "keys", "p50": "bump p50 ms", "p99": "bump p99 ms", "scan": "SCAN, UNLINK ms"}
    )
    entries = _table(result["l1_entries"], {"entries": "entries", "hit": "hit µs", "change": "a change's arrival µs"})
    hearing = _table(
        result["subscribers"],
        {"subscribers": "subscribers", "bump": "bump p50 ms", "p50": "last has heard, p50 ms", "p99": "p99 ms"},
    )
    filled = _table(
        result["rows"],
        {"rows": "rows", "page": "first 100 ms", "account": "100 of an account ms", "fresh": "COMMIT to fresh ms"},
    )
    return (
        "Keys in Redis. A bump is what an invalidation costs here; SCAN and UNLINK of 200 keys is what it costs those\n"
        f"who find keys by a pattern. A bump's time is {_flat(result['redis_keys'], 'p50')}.\n\n{keys}\n"
        "Entries in L1, of 100 bytes; a hit goes through the whole of `get_or_load`. Its time is\n"
        f"{_flat(result['l1_entries'], 'hit')}.\n\n{entries}\n"
        "Processes that hear of a change, simulated by bare connections, all of which one process reads:\n\n"
        f"{hearing}\n"
        "Rows in the table; medians of misses, and of an UPDATE of one row until a process is fresh:\n\n"
        f"{filled}"
    )


def _table(records: Sequence[Mapping[str, float]], heads: Mapping[str, str]) -> str:
    first, *others = heads
    body = [[f"{record[first]:,.0f}", *(f"{record[name]:,.3g}" for name in others)] for record in records]
    return table(list(heads.values()), body)


def _flat(records: Sequence[Mapping[str, float]], figure: str) -> str:
    times = records[-1][figure] / records[0][figure]
    return f"{'flat' if times <= FLAT else '**not flat**'}: at the end {times:.2f} times what it was at first"


GROWTH = Section("growth", "What does it cost as things grow?", _measure, render)
