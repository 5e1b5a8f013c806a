"""The running system as Prometheus and a collector of traces see it: every panel has data, every span its place."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.acceptance.conftest import PATIENT, fill, start
from tests.acceptance.system import ANOMALIES, System
from tests.support.collector import Collector, Seen, collecting
from tests.support.dashboard import VARIABLES, queries
from tests.support.own_servers import ServerRoom
from tests.support.processes import Programs
from tests.support.prometheus import Prometheus
from tests.support.promql import selected_by
from tests.support.tools import tool
from tests.support.waiting import eventually
from tests.unit.test_deploy_monitoring import RULES

FILTERED = ("label_values(", ", instance)")


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    """Takes what the programs trace."""
    with collecting() as made:
        yield made


@pytest.fixture(scope="module")
async def watched(
    tmp_path_factory: pytest.TempPathFactory, shared_migrated_url: str, session_room: ServerRoom, collector: Collector
) -> AsyncIterator[System]:
    """Two replicas that look at their hits again, and a listener; all of them trace."""
    programs = Programs(tmp_path_factory.mktemp("watched"))
    settings = {
        **PATIENT,
        "CACHE_AUDIT_RATE": "1",
        "TRACING": "on",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
    async with System(programs, shared_migrated_url, session_room.valkey().url, "watched:", settings) as system:
        await fill(system)
        await start(system)
        yield system
    await programs.close()


async def use(system: System, number: int) -> None:
    """Do a little of all that the system is used for."""
    await system.sql(f"UPDATE anomalies SET amount = {number} WHERE transaction_id = 'T1'")  # noqa: S608 - a number
    await system.put_status(0, "T2", ("CONFIRMED", "NEW")[number % 2])
    for replica in (0, 1):
        for path in (ANOMALIES, f"{ANOMALIES}?limit={number % 50 + 1}", "/api/v1/transactions/ACC1"):
            for _ in range(2):
                await system.get(replica, path, headers={"Accept-Encoding": "gzip"})
        await system.admin.get(f"{system.replicas[replica].url}{ANOMALIES}")


async def test_every_panel_and_every_alert_has_data(watched: System, tmp_path: Path) -> None:
    """After some traffic, changes and an audit, Prometheus has a number for each query of the dashboard.

    Each rule was evaluated without an error, what it reads is there, and none fires. What `/metrics` says is as
    Prometheus' own linter would have it.
    """
    addresses = {
        "api": [f"127.0.0.1:{each.port}" for each in watched.replicas],
        "listener": [f"127.0.0.1:{each.port}" for each in watched.listeners],
    }
    query = VARIABLES["instance"]["definition"]
    assert query.startswith(FILTERED[0])
    assert query.endswith(FILTERED[1])
    wanted = {
        **queries(),
        "the choice of instances": [query.removeprefix(FILTERED[0]).removesuffix(FILTERED[1])],
        "the alerts": [selected.metric for rule in RULES for selected in selected_by(rule["expr"])],
    }
    missing = [(title, expression) for title, expressions in wanted.items() for expression in expressions]
    async with Prometheus(tmp_path, addresses) as prometheus:
        rounds = 0

        async def all_there() -> bool:
            nonlocal missing, rounds
            rounds += 1
            await use(watched, rounds)
            found = await asyncio.gather(*(prometheus.values(expression) for _, expression in missing))
            missing = [asked for asked, values in zip(missing, found, strict=True) if not values]
            assert not missing, missing
            return True

        await eventually(all_there, within=60, every=0.5)

        async def all_evaluated() -> bool:
            rules = await prometheus.rules()
            assert set(rules) == {rule["alert"] for rule in RULES}
            return all(health == "ok" for health, _ in rules.values())

        await eventually(all_evaluated)
        assert [name for name, (_, state) in (await prometheus.rules()).items() if state == "firing"] == []
        assert await prometheus.healthy_targets() == len(watched.replicas) + len(watched.listeners)
        assert max(await prometheus.values("sum(cache_audit_checks_total)")) > 0
    for program in (watched.replicas[0], watched.listeners[0]):
        async with program.client() as client:
            exposition = (await client.get("/metrics")).content
        done = await asyncio.to_thread(
            subprocess.run, [tool("promtool"), "check", "metrics"], input=exposition, capture_output=True, check=False
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


REQUEST = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


async def test_a_change_is_one_trace_from_postgres_to_every_replica(watched: System, collector: Collector) -> None:
    """The listener's receiving of a notification, its bump, and what that drops in each process, are joined."""
    await watched.psql("UPDATE anomalies SET status = 'CONFIRMED' WHERE transaction_id = 'T3';")

    def joined() -> list[Seen] | None:
        for bump in collector.spans:
            if bump.attributes.get("coherence.causes") == ["update"]:
                spans = collector.of(bump.trace)
                if [span.name for span in spans] == ["notification", "bump", "drop", "drop"]:
                    return spans
        return None

    notification, bump, *drops = await eventually(joined)
    assert (notification.parent, bump.parent) == ("", notification.id)
    assert notification.began <= bump.began
    assert notification.ended >= bump.ended
    assert {drop.parent for drop in drops} == {bump.id}
    assert len({drop.instance for drop in drops}) == len(watched.replicas)
    assert {span.service for span in (notification, bump)} == {"anomaly-cache-listener"}
    assert {span.service for span in drops} == {"anomaly-cache-api"}
    for span in (bump, *drops):
        assert span.attributes["coherence.namespaces"] == ["anomalies"]
        assert span.attributes["coherence.generation"] == bump.attributes["coherence.generation"]


async def test_a_request_is_a_trace_through_the_layers(watched: System, collector: Collector) -> None:
    """A miss asks L1, L2 and Postgres, within the trace that the client began; a hit asks L1 alone."""
    trace, parent = REQUEST
    asked = {"traceparent": f"00-{trace}-{parent}-01"}
    for _ in range(2):
        await watched.get(0, f"{ANOMALIES}?limit=9&min_score=0.123", headers=asked)

    def both() -> list[Seen] | None:
        requests = [span for span in collector.of(trace) if span.parent == parent]
        return requests if len(requests) == 2 else None

    miss, hit = await eventually(both)
    assert {miss.name, hit.name} == {f"GET {ANOMALIES}"}
    assert (miss.attributes["cache.layer"], hit.attributes["cache.layer"]) == ("db", "l1")
    assert miss.attributes["http.response.status_code"] == 200

    def within(request: Seen) -> dict[str, Seen]:
        return {span.name: span for span in collector.of(trace) if span.parent == request.id}

    await eventually(lambda: "store in L2" in within(miss))
    assert [name for name in within(miss) if name in {"L1", "L2", "load"}] == ["L1", "L2", "load"]
    assert within(miss)["L1"].attributes["cache.hit"] is False
    assert within(miss)["load"].attributes["cache.namespace"] == "anomalies"
    assert list(within(hit)) == ["L1"]
    assert within(hit)["L1"].attributes["cache.hit"] is True
    # What a client asks is traced only under /api.
    assert not [span for span in collector.spans if "readyz" in span.name or "metrics" in span.name]


async def test_a_put_is_one_trace_with_what_it_drops_elsewhere(watched: System, collector: Collector) -> None:
    """What another process does because of a PUT is a part of the PUT's trace."""
    trace, parent = REQUEST[0][::-1], REQUEST[1]
    headers = {"traceparent": f"00-{trace}-{parent}-01"}
    answer = await watched.clients[0].put(f"{ANOMALIES}/T5", json={"new_status": "CONFIRMED"}, headers=headers)
    assert answer.status_code == 200

    def dropped() -> bool:
        spans = collector.of(trace)
        requests = [span.id for span in spans if span.parent == parent]
        drops = [span for span in spans if span.name == "drop" and span.parent in requests]
        return len({drop.instance for drop in drops}) == len(watched.replicas)

    await eventually(dropped)
    assert {"bump", "acknowledgements"} <= {span.name for span in collector.of(trace)}
