"""A change made in psql is seen by every replica at once; what is no change flushes nothing."""

import asyncio

import pytest

from coherence.changes import Bump
from tests.acceptance.conftest import fill, start
from tests.acceptance.system import ANOMALIES, System, layer, view
from tests.support.processes import Programs
from tests.support.waiting import eventually

PAGE = f"{ANOMALIES}?limit=3"
NEWEST = [("T0", "NEW"), ("T1", "NEW"), ("T2", "NEW")]
INSERT = "INSERT INTO anomalies (transaction_id, account_id, amount, currency, score, detected_at) VALUES "

CHANGES = {
    "update": ("UPDATE anomalies SET status = 'CONFIRMED' WHERE transaction_id = 'T1';", "", ["T0", "T1!", "T2"]),
    "insert": (INSERT + "('X', 'ACC0', 1, 'EUR', 0.5, now() + interval '1 hour');", "", ["X", "T0", "T1"]),
    "delete": ("DELETE FROM anomalies WHERE transaction_id = 'T0';", "", ["T1", "T2", "T3"]),
    "truncate": ("TRUNCATE anomalies;", "", []),
    "copy": (
        "COPY anomalies (transaction_id, account_id, amount, currency, score, detected_at) FROM STDIN;",
        "C\tACC0\t1.00\tEUR\t0.5\t2100-01-01\n\\.\n",
        ["C", "T0", "T1"],
    ),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_a_change_in_psql_reaches_both_replicas(system: System, change: str) -> None:
    """Each way to change rows by hand shows in both replicas' cached pages, within the bound by far."""
    script, feed, wanted = CHANGES[change]
    await system.cached(PAGE)
    await system.psql(script, feed)
    rows = [(name.rstrip("!"), "CONFIRMED" if name.endswith("!") else "NEW") for name in wanted]
    await asyncio.gather(*(system.shows(replica, PAGE, rows, within=6.0) for replica in (0, 1)))


async def test_a_rollback_invalidates_nothing(system: System) -> None:
    """A change that is rolled back, and an UPDATE that finds no row, are not told to anybody."""
    await system.cached(PAGE)
    async with system.redis.pubsub() as changes:
        await changes.subscribe(f"{system.prefix}coherence:changes")
        await system.psql("BEGIN; UPDATE anomalies SET status = 'CONFIRMED'; ROLLBACK;")
        await system.psql("UPDATE anomalies SET status = 'CONFIRMED' WHERE transaction_id = 'nobody';")
        # What is announced comes in the order of commits: when this later one is here, an earlier one would be too.
        await system.psql("SELECT coherence.invalidate('transactions');")
        causes: list[str] = []
        while "invalidate" not in causes:
            message = await changes.get_message(ignore_subscribe_messages=True, timeout=20)
            if message is not None:
                causes += [change.cause for change in Bump.from_wire(message["data"]).changes]
    assert "update" not in causes
    for replica in (0, 1):
        assert view(await system.get(replica, PAGE)) == NEWEST


async def test_operators_find_what_they_look_for(own_system: System) -> None:
    """The log says that the cache is up, and what invalidated it: namespace, generation, cause, how many."""
    await own_system.cached(PAGE)
    for replica in own_system.replicas:
        await replica.logged("Cache initialized successfully")
    await own_system.psql("UPDATE anomalies SET status = 'CONFIRMED' WHERE transaction_id = 'T1';")
    for program in (*own_system.replicas, *own_system.listeners):
        line = await program.logged("cache invalidated", namespace="anomalies", cause="update")
        assert line["generation"] > 0
        assert line["notifications"] == 1


async def test_outdated_keys_leave_redis(system: System) -> None:
    """After a change of the whole namespace `KEYS anomalies:*` shows nothing that was cached before it."""
    await system.cached(PAGE)
    assert await system.keys("anomalies") > 0
    await system.psql("SELECT coherence.invalidate('anomalies');")

    async def gone() -> bool:
        return await system.keys("anomalies") == 0

    await eventually(gone)


async def test_without_rows_every_change_is_one_of_its_namespace(
    programs: Programs, migrated_url: str, redis_url: str, cache_prefix: str
) -> None:
    """CACHE_INVALIDATION=namespace: a change of one row drops every answer, and its keys leave Redis."""
    async with System(programs, migrated_url, redis_url, cache_prefix, {"CACHE_INVALIDATION": "namespace"}) as system:
        await fill(system)
        await start(system)
        elsewhere = f"{ANOMALIES}?account_id=ACC1&limit=2"
        await system.cached(elsewhere)
        await system.cached("/api/v1/transactions/ACC1")
        await system.psql("UPDATE anomalies SET status = 'CONFIRMED' WHERE transaction_id = 'T2';")

        async def gone() -> bool:
            return await system.keys("anomalies") == 0

        await eventually(gone)
        for replica in (0, 1):
            assert layer(await system.get(replica, "/api/v1/transactions/ACC1")) == "l1"
        assert layer(await system.get(0, elsewhere)) == "db"
