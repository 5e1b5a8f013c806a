"""The audit beside a running system: silent while a writer is busy, and not silent where an answer is wrong."""

import asyncio
import re
import signal
from collections.abc import AsyncIterator

import pytest

from anomaly_cache.servers.ports import free_port
from coherence.entry import Entry, text_of
from coherence.query import Query
from tests.acceptance.conftest import PATIENT
from tests.acceptance.system import ANOMALIES, System
from tests.support.api import metric
from tests.support.processes import Program, Programs
from tests.support.waiting import eventually

PATH = f"{ANOMALIES}?limit=5&min_score=0.5"
QUERY = Query("anomalies", {"limit": 5, "offset": 0, "min_score": 0.5})
VIOLATION_FOUND = 3


async def checks(program: Program, outcome: str) -> float:
    """Return how many of a program's checks came to this."""
    async with program.client() as client:
        text = (await client.get("/metrics")).text
    return sum(
        float(value)
        for value in re.findall(rf'^cache_audit_checks_total{{[^}}]*outcome="{outcome}"}} (\S+)$', text, re.MULTILINE)
    )


@pytest.fixture
async def audited(programs: Programs, migrated_url: str, redis_url: str, cache_prefix: str) -> AsyncIterator[System]:
    """A listener, and a replica that looks at each of its hits again."""
    async with System(programs, migrated_url, redis_url, cache_prefix, PATIENT) as system:
        await system.sql(
            """INSERT INTO anomalies (transaction_id, account_id, amount, currency, score, detected_at)
               SELECT 'T' || i, 'ACC', 10 + i, 'EUR', 0.9, now() - i * interval '1 minute'
               FROM generate_series(0, 9) AS i"""
        )
        await system.start_listener()
        await system.start_replica(CACHE_AUDIT_RATE="1")
        await system.caching()
        yield system


async def test_a_busy_writer_raises_no_alarm_and_a_forged_entry_does(audited: System) -> None:
    """Both audits, the API's own and the program, look at everything that they can."""
    port = free_port()
    arguments = ("audit", "--rate", "1", "--metrics-port", str(port))
    audit = await audited.programs.run("anomaly_cache", *arguments, port=port, settings=audited.settings(), wait=False)
    await audit.logged("auditing", within=30)
    writing = asyncio.create_task(write(audited))
    while not writing.done():
        await audited.get(0, PATH)
    await writing

    async def seen_right() -> bool:
        await audited.get(0, PATH)
        return all([await checks(program, "same") > 0 for program in (*audited.replicas, audit)])

    await eventually(seen_right, within=30)
    for program in (*audited.replicas, audit):
        assert await checks(program, "violation") == 0

    await forge(audited)
    line = await audit.logged("audit violation", within=30)
    assert (line["query"], line["key"], line["layer"]) == (QUERY.text, QUERY.key, "l2")
    assert line["history"] == "no change after the stamp affects it"
    assert line["etag_now"] != line["etag_served"]
    async with audit.client() as client:
        text = (await client.get("/metrics")).text
    assert metric(text, 'cache_audit_violations_total{cache_key_type="anomalies"}') > 0
    audit.child.send(signal.SIGTERM)
    assert await audit.ended() == VIOLATION_FOUND
    assert audit.logs("audit")[-1]["violation"] > 0


async def write(system: System) -> None:
    """Change rows of the page, and others, as fast as they go, for a while."""
    for number in range(150):
        row = f"transaction_id = 'T{number % 8}'"
        await system.sql(f"UPDATE anomalies SET amount = {number} WHERE {row}")  # noqa: S608 - a number


async def forge(system: System) -> None:
    """Have Redis hold another body for the query, well formed and young, and no process anything in its memory."""
    name = f"{system.prefix}{QUERY.key}"
    wire = await eventually(lambda: system.redis.get(name), within=30)
    assert isinstance(wire, bytes)
    assert text_of(wire) == QUERY.text
    entry = Entry.from_wire(QUERY, wire)
    forged = Entry(QUERY, entry.stamp, entry.stored_at, entry.ttl, entry.etag, b"forged", entry.page)
    await system.redis.set(name, forged.as_wire(), keepttl=True)
