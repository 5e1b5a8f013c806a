"""The walk that operators know: a miss, a hit, an update, fresh data; and the figures that go with it."""

import httpx2

from tests.acceptance.system import ANOMALIES, System, layer, view
from tests.support.processes import ADMIN_KEY
from tests.support.waiting import eventually

PAGE = f"{ANOMALIES}?limit=100"


async def test_a_miss_then_hits(system: System) -> None:
    """The first request loads, the next ones are hits: from this replica's L1, and from Redis in the other."""
    page = f"{ANOMALIES}?limit=99"  # no other test asks for it: what is kept of before would make it "stale"
    first = await system.get(0, page)
    assert first.headers["Cache-Status"] == "anomaly-cache; fwd=uri-miss; stored; detail=db"
    second = await system.get(0, page)
    other = await system.get(1, page)
    assert second.headers["Cache-Status"].startswith("anomaly-cache; hit; ttl=")
    assert (layer(second), layer(other)) == ("l1", "l2")
    assert first.content == second.content == other.content
    # A form in which it is compressed has the same tag but for its ending.
    assert len({each.headers["ETag"].strip('"').partition("-")[0] for each in (first, second, other)}) == 1
    assert first.json()["count"] == 40


async def test_a_put_is_seen_by_every_replica_at_once(system: System) -> None:
    """After the 200 of a PUT no replica answers with the old row; nor does the one that wrote it."""
    path = f"{ANOMALIES}?limit=10"
    await system.cached(path)
    for turn in range(50):
        status = ("INVESTIGATED", "CONFIRMED")[turn % 2]
        answer = await system.put_status(turn % 2, "T3", status)
        assert answer.json()["status"] == status
        for replica in (1 - turn % 2, turn % 2):
            shown = dict(view(await system.get(replica, path)))
            assert shown["T3"] == status, f"replica {replica}, turn {turn}"


async def test_the_generation_of_a_put_makes_the_next_read_certain(own_system: System) -> None:
    """A read that carries `Cache-Generation` never sees what was before, though nobody waits for acknowledgements."""
    impatient = await own_system.start_replica(PUT_ACK_TIMEOUT_MS="0")
    path = f"{ANOMALIES}?limit=10"
    await own_system.cached(path)
    writer = own_system.replicas.index(impatient)
    for turn in range(100):
        status = ("INVESTIGATED", "CONFIRMED")[turn % 2]
        generation = (await own_system.put_status(writer, "T3", status)).headers["Cache-Generation"]
        response = await own_system.get(turn % 2, path, headers={"Cache-Generation": generation})
        assert dict(view(response))["T3"] == status


async def test_an_admin_reads_fresh(system: System) -> None:
    """An admin's request bypasses the cache, and may not be stored on the way."""
    await system.cached(PAGE)
    async with httpx2.AsyncClient(headers={"X-API-Key": ADMIN_KEY}, trust_env=False) as admin:
        response = await admin.get(f"{system.replicas[0].url}{PAGE}")
    assert response.headers["Cache-Status"] == "anomaly-cache; fwd=bypass; detail=admin"
    assert response.headers["Cache-Control"] == "no-store"


async def test_invalidation_by_hand_reaches_every_replica(system: System) -> None:
    """`POST /api/v1/cache/invalidate` drops the namespace in Redis and in each replica's L1 before it answers."""
    await system.cached(PAGE)
    url = f"{system.replicas[0].url}/api/v1/cache/invalidate"
    response = await system.admin.post(url, json={"namespace": "anomalies"})
    assert response.status_code == httpx2.codes.OK, response.text
    assert response.json()["namespace"] == "anomalies"
    for replica in (0, 1):
        assert layer(await system.get(replica, PAGE)) in {"db", "l2"}
    generation = response.json()["generation"]
    assert await system.generation() >= generation


async def test_statistics_and_metrics_tell_of_hits(system: System) -> None:
    """The statistics have the known seven fields; the metrics count a hit and a miss under the known names."""
    hits, misses = [
        await system.metric(0, f"cache_{what}_total", cache_key_type="transactions") for what in ("hits", "misses")
    ]
    for _ in range(2):
        await system.get(0, "/api/v1/transactions/ACC1?limit=2")
    assert await system.metric(0, "cache_hits_total", cache_key_type="transactions") == hits + 1
    assert await system.metric(0, "cache_misses_total", cache_key_type="transactions") == misses + 1
    stats = (await system.get(0, "/api/v1/cache/stats")).json()
    known = {"available", "total_connections", "total_commands", "keyspace_hits", "keyspace_misses", "keys_count"}
    assert known | {"hit_rate"} <= stats.keys()
    assert stats["available"] is True

    async def counted() -> bool:
        return await system.metric(0, "cache_operation_duration_seconds_count", operation="set") > 0

    await eventually(counted)
