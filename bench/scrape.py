"""Sums of Prometheus samples over the replicas."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from prometheus_client.parser import text_string_to_metric_families

from bench.client import get

Sample = tuple[str, frozenset[tuple[str, str]]]


async def scrape(ports: Sequence[int]) -> Mapping[Sample, float]:
    """Return each sample's sum over the /metrics of these ports."""
    sums: defaultdict[Sample, float] = defaultdict(float)
    for port in ports:
        _, body = await get(port, "/metrics")
        for family in text_string_to_metric_families(body.decode()):
            for sample in family.samples:
                sums[sample.name, frozenset(sample.labels.items())] += sample.value
    return sums


def total(samples: Mapping[Sample, float], name: str, **labels: str) -> float:
    """Return the sum of the samples of this name with these labels, among others."""
    wanted = set(labels.items())
    return sum(value for (each, given), value in samples.items() if each == name and wanted <= given)
