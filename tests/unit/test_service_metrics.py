"""The API's metrics."""

import re
from typing import get_args

import pytest

from coherence.changes import Bump, Change
from coherence.events import (
    Acknowledged,
    Bypassed,
    Coded,
    Event,
    Hit,
    Invalidated,
    Joined,
    Judged,
    Loaded,
    Missed,
    Operated,
    Rejected,
    Shed,
    Subscribed,
    ViewPolled,
)
from coherence.view import Polled, Received
from service.metrics import Metrics


def exposed(*happened: Event, requests: tuple[tuple[str, str, int, float], ...] = ()) -> dict[str, float]:
    """Return every sample after all that has happened."""
    metrics = Metrics(["anomalies", "transactions"])
    for event in happened:
        metrics(event)
    for request in requests:
        metrics.requests.count(*request)
    metrics.hand_over()
    samples = re.findall(r"^(\w+(?:{.*})?) (\S+)$", metrics.exposition().decode(), re.MULTILINE)
    return {name: float(value) for name, value in samples}


def test_what_alerts_look_at_is_there_from_the_start() -> None:
    """A rate from nothing to one would not be seen as one."""
    samples = exposed()
    for operation in ("get", "set", "decode", "publish"):
        assert samples[f'cache_errors_total{{operation="{operation}"}}'] == 0
    for namespace in ("anomalies", "transactions"):
        assert samples[f'cache_hits_total{{cache_key_type="{namespace}"}}'] == 0
        assert samples[f'cache_misses_total{{cache_key_type="{namespace}"}}'] == 0
    assert any(name.startswith("cache_build_info{version=") for name in samples)


@pytest.mark.parametrize(
    ("event", "sample"),
    [
        (Hit("anomalies", "l1"), 'cache_hits_total{cache_key_type="anomalies"}'),
        (Hit("anomalies", "l2"), 'cache_layer_hits_total{cache_key_type="anomalies",layer="l2"}'),
        (Missed("anomalies", stale=True), 'cache_misses_total{cache_key_type="anomalies"}'),
        (Bypassed("anomalies", "admin"), 'cache_bypasses_total{cache_key_type="anomalies",reason="admin"}'),
        (Joined("anomalies"), 'cache_single_flight_joins_total{cache_key_type="anomalies"}'),
        (Loaded("anomalies", 0.1, "error"), 'cache_loads_total{cache_key_type="anomalies",outcome="error"}'),
        (Loaded("anomalies", 0.1, "ok"), 'cache_load_duration_seconds_count{cache_key_type="anomalies"}'),
        (Coded("gzip", 0.1, 100, 20), 'cache_compressions_total{coding="gzip"}'),
        (Shed("anomalies"), 'cache_loads_shed_total{cache_key_type="anomalies"}'),
        (Operated("get", 0.1), 'cache_operation_duration_seconds_count{operation="get"}'),
        (Operated("get", 0.1, "broken"), 'cache_errors_total{operation="get"}'),
        (Operated("publish", 0.1, "broken"), 'cache_errors_total{operation="publish"}'),
        (Rejected("anomalies", "checksum"), 'cache_errors_total{operation="decode"}'),
        (ViewPolled(Polled.BEHIND, valid=True), 'cache_view_polls_total{outcome="behind"}'),
        (Subscribed(), "cache_subscriptions_total"),
        (Acknowledged(1, 2, 0.1), 'cache_acknowledgements_total{outcome="missing"}'),
        (Acknowledged(1, 2, 0.1), "cache_acknowledgement_wait_seconds_count"),
    ],
)
def test_each_event_is_counted(event: Event, sample: str) -> None:
    """Once."""
    assert exposed(event)[sample] == 1


def test_no_event_is_unknown() -> None:
    """Whatever the core reports has its place here."""
    assert set(get_args(Event)) == set(Metrics([])._take)


def invalidated(*changes: Change, received: Received = Received.APPLIED) -> Invalidated:
    """Return the event of a bump."""
    return Invalidated(Bump(1, 2, changes, 0.0), received, 0.002)


def test_invalidations_are_counted_by_namespace_and_cause() -> None:
    """With their latency; a message that is known already does not count."""
    changes = (Change("anomalies", "update"), Change(None, "resync"))
    samples = exposed(invalidated(*changes), invalidated(*changes, received=Received.OLD))
    assert samples['cache_invalidations_total{cause="update",namespace="anomalies"}'] == 1
    assert samples['cache_invalidations_total{cause="resync",namespace="*"}'] == 1
    assert samples["cache_invalidation_latency_seconds_count"] == 1
    assert (
        exposed(invalidated(*changes, received=Received.GAP))['cache_invalidations_total{cause="gap",namespace="*"}']
        == 1
    )


def test_labels_are_ours_whatever_is_announced() -> None:
    """Anybody who can NOTIFY could else fill the memory of Prometheus."""
    samples = exposed(*(invalidated(Change(f"namespace-{n}", f"cause-{n}")) for n in range(50)))
    assert samples['cache_invalidations_total{cause="other",namespace="other"}'] == 50
    assert len([name for name in samples if name.startswith("cache_invalidations_total")]) == 1


def test_requests_are_counted_by_template_method_and_status() -> None:
    """Methods that nobody knows are one."""
    route = "/api/v1/anomalies/{transaction_id}"
    requests = (
        (route, "GET", 200, 0.1),
        (route, "GET", 200, 0.1),
        (route, "BREW", 405, 0.1),
        (route, "PROPFIND", 405, 0.1),
    )
    samples = exposed(requests=requests)
    assert samples[f'http_requests_total{{method="GET",route="{route}",status="200"}}'] == 2
    assert samples[f'http_requests_total{{method="other",route="{route}",status="405"}}'] == 2


def test_the_time_of_requests_is_counted_by_template_and_method() -> None:
    """In the buckets of one histogram, each request once, the edge of a bucket within it."""
    samples = exposed(
        requests=(("/livez", "GET", 200, 0.0001), ("/livez", "GET", 503, 0.3), ("/livez", "GET", 503, 9.0))
    )
    series = 'method="GET",route="/livez"'
    buckets = [
        samples[f'http_request_duration_seconds_bucket{{le="{le}",{series}}}']
        for le in ("0.0001", "0.25", "0.5", "5.0", "+Inf")
    ]
    assert buckets == [1, 1, 2, 2, 3]
    assert samples[f"http_request_duration_seconds_count{{{series}}}"] == 3
    assert samples[f"http_request_duration_seconds_sum{{{series}}}"] == pytest.approx(9.3001)


def test_what_was_handed_over_is_not_handed_over_again() -> None:
    """Each scrape asks."""
    metrics = Metrics([])
    metrics.requests.count("/livez", "GET", 200, 0.1)
    for _ in range(2):
        metrics.hand_over()
    assert b'http_request_duration_seconds_count{method="GET",route="/livez"} 1.0' in metrics.exposition()


def test_a_namespace_that_nobody_listed_is_counted_too() -> None:
    """An endpoint that is cached under a namespace of its own answers, whether the metrics were told of it or not."""
    samples = exposed(Hit("cities", "l1"), Hit("cities", "l1"), Judged("cities", spared=True))
    assert samples['cache_hits_total{cache_key_type="cities"}'] == 2
    assert samples['cache_layer_hits_total{cache_key_type="cities",layer="l1"}'] == 2
    assert samples['cache_entries_judged_total{cache_key_type="cities",verdict="spared"}'] == 1
