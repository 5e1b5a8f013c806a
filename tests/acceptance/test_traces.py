"""The running system as a collector of traces sees it: every span has its place."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.acceptance.conftest import PATIENT, fill, start
from tests.acceptance.system import ANOMALIES, System
from tests.support.collector import Collector, Seen, collecting
from tests.support.own_servers import ServerRoom
from tests.support.processes import Programs
from tests.support.waiting import eventually


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    """Takes what the programs trace."""
    with collecting() as made:
        yield made


@pytest.fixture(scope="module")
async def traced(
    tmp_path_factory: pytest.TempPathFactory, shared_migrated_url: str, session_room: ServerRoom, collector: Collector
) -> AsyncIterator[System]:
    """Two replicas and a listener; all of them trace."""
    programs = Programs(tmp_path_factory.mktemp("traced"))
    settings = {
        **PATIENT,
        "TRACING": "on",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
    async with System(programs, shared_migrated_url, session_room.valkey().url, "traced:", settings) as system:
        await fill(system)
        await start(system)
        yield system
    await programs.close()


REQUEST = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


async def test_a_change_is_one_trace_from_postgres_to_every_replica(traced: System, collector: Collector) -> None:
    """The listener's receiving of a notification, its bump, and what that drops in each process, are joined."""
    await traced.psql("UPDATE anomalies SET status = 'CONFIRMED' WHERE transaction_id = 'T3';")

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
    assert len({drop.instance for drop in drops}) == len(traced.replicas)
    assert {span.service for span in (notification, bump)} == {"anomaly-cache-listener"}
    assert {span.service for span in drops} == {"anomaly-cache-api"}
    for span in (bump, *drops):
        assert span.attributes["coherence.namespaces"] == ["anomalies"]
        assert span.attributes["coherence.generation"] == bump.attributes["coherence.generation"]


async def test_a_request_is_a_trace_through_the_layers(traced: System, collector: Collector) -> None:
    """A miss asks L1, L2 and Postgres, within the trace that the client began; a hit asks L1 alone."""
    trace, parent = REQUEST
    asked = {"traceparent": f"00-{trace}-{parent}-01"}
    for _ in range(2):
        await traced.get(0, f"{ANOMALIES}?limit=9&min_score=0.123", headers=asked)

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


async def test_a_put_is_one_trace_with_what_it_drops_elsewhere(traced: System, collector: Collector) -> None:
    """What another process does because of a PUT is a part of the PUT's trace."""
    trace, parent = REQUEST[0][::-1], REQUEST[1]
    headers = {"traceparent": f"00-{trace}-{parent}-01"}
    answer = await traced.clients[0].put(f"{ANOMALIES}/T5", json={"new_status": "CONFIRMED"}, headers=headers)
    assert answer.status_code == 200

    def dropped() -> bool:
        spans = collector.of(trace)
        requests = [span.id for span in spans if span.parent == parent]
        drops = [span for span in spans if span.name == "drop" and span.parent in requests]
        return len({drop.instance for drop in drops}) == len(traced.replicas)

    await eventually(dropped)
    assert {"bump", "acknowledgements"} <= {span.name for span in collector.of(trace)}
