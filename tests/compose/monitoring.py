"""Prometheus and Grafana of the profile `monitoring`, looked at from outside."""

import time
from typing import Any

import httpx2

from tests.compose.engine import Engine
from tests.compose.saying import TryError, require

GRAFANA_USER = "admin"
SEEN_SECONDS = 60.0


class Prometheus:
    """A running Prometheus under its HTTP API."""

    def __init__(self, client: httpx2.Client) -> None:
        self._client = client

    def healthy_targets(self) -> int:
        """Return how many targets it scrapes with success."""
        return sum(target["health"] == "up" for target in self._data("targets")["activeTargets"])

    def rules(self) -> dict[str, str]:
        """Return the health of every rule by its name: `ok` once it was evaluated."""
        return {rule["name"]: rule["health"] for group in self._data("rules")["groups"] for rule in group["rules"]}

    def firing(self) -> list[str]:
        """Return the alerts that fire."""
        return [alert["labels"]["alertname"] for alert in self._data("alerts")["alerts"] if alert["state"] == "firing"]

    def _data(self, what: str) -> dict[str, Any]:
        data: dict[str, Any] = self._client.get(f"/api/v1/{what}").raise_for_status().json()["data"]
        return data


def check_prometheus(engine: Engine, url: str, *, targets: int) -> str:
    """Start Prometheus; it must find all replicas and listeners, and evaluate every rule."""
    engine.start("prometheus", profile="monitoring")
    with httpx2.Client(base_url=url, timeout=10, trust_env=False) as client:
        prometheus = Prometheus(client)
        deadline = time.monotonic() + SEEN_SECONDS
        while prometheus.healthy_targets() != targets or set(prometheus.rules().values()) != {"ok"}:
            if time.monotonic() > deadline:
                raise TryError(f"Prometheus: {prometheus.healthy_targets()} of {targets} targets, {prometheus.rules()}")
            time.sleep(0.5)
        require(not prometheus.firing(), f"alerts fire in a healthy system: {prometheus.firing()}")
        evaluated = len(prometheus.rules())
    [container] = engine.containers("prometheus")
    engine.execute(container, "promtool", "test", "rules", "/etc/prometheus/rules.test.yml")
    return f"Prometheus: {targets} targets up, {evaluated} rules evaluated, none fires, their own tests pass"


def check_grafana(engine: Engine, url: str, password: str) -> str:
    """Start Grafana; it must have provisioned the dashboard."""
    engine.start("grafana", profile="monitoring")
    with httpx2.Client(base_url=url, timeout=10, trust_env=False, auth=(GRAFANA_USER, password)) as client:
        found = client.get("/api/dashboards/uid/anomaly-cache")
        require(found.status_code == 200, f"Grafana has no dashboard: {found.text}")
        panels = len(found.json()["dashboard"]["panels"])
    return f"Grafana: the dashboard is there, with {panels} panels"
