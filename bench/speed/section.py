"""The section of the report on speed."""

from typing import Any

from bench.loader import Loader
from bench.pinning import Pinning, pin, processors, unpin
from bench.sections import Advance, Section
from bench.servers import prepare, running
from bench.speed.contenders import contenders
from bench.speed.report import charts, render
from bench.speed.rounds import measure

ROWS = 20_000
POSTGRES = {"synchronous_commit": "off", "shared_buffers": "256MB"}
REDIS = {"maxmemory": "512mb", "maxmemory-policy": "allkeys-lru"}


async def _measure(quick: bool, advance: Advance) -> dict[str, Any]:
    before = processors()
    pinning = pin()
    try:
        return await _pinned(pinning, quick, advance)
    finally:
        unpin(before)


async def _pinned(pinning: Pinning, quick: bool, advance: Advance) -> dict[str, Any]:
    rounds, seconds = (1, 1.0) if quick else (7, 1.0)
    with running(POSTGRES, REDIS) as servers:
        advance("rows, programs and environments")
        await prepare(servers.postgres, ROWS)
        async with contenders(servers, pinning, ROWS) as field:
            sizes = await measure(field, rounds=rounds, seconds=seconds, advance=advance)
    return {
        "rounds": max(len(records) for by_name in sizes.values() for records in by_name.values()),
        "seconds": seconds,
        "load": "wrk" if Loader(1).wrk else "a client in Python, which may be what limits it",
        "server_processor": pinning.server,
        "bytes": field.bytes,
        "missing": field.missing,
        "sizes": sizes,
    }


SPEED = Section("speed", "How fast is an answer?", _measure, render, charts)
