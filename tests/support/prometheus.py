"""A real Prometheus that scrapes a test's programs as `deploy/prometheus/prometheus.yml` has it scrape containers."""

import asyncio
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import httpx2
import yaml

from anomaly_cache.servers.child import Child
from anomaly_cache.servers.ports import free_port
from tests.support.compose_file import ROOT
from tests.support.tools import tool
from tests.support.waiting import eventually

DEPLOYED = ROOT / "deploy" / "prometheus" / "prometheus.yml"
INTERVAL = "500ms"


class Prometheus:
    """Started and ended by `async with`; `targets` are the addresses of each job of the deployed configuration."""

    def __init__(self, directory: Path, targets: Mapping[str, Sequence[str]]) -> None:
        port = free_port()
        file = directory / "prometheus.yml"
        file.write_text(yaml.safe_dump(configuration(targets)))
        self._child = Child(
            "prometheus",
            [
                tool("prometheus"),
                f"--config.file={file}",
                f"--storage.tsdb.path={directory / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--log.level=warn",
            ],
            log=directory / "prometheus.log",
        )
        self._client = httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20, trust_env=False)

    async def __aenter__(self) -> Self:
        """Start it, and wait until it answers."""
        self._child.start()
        await eventually(self._ready, within=30)
        return self

    async def __aexit__(self, *_: object) -> None:
        """End it."""
        await self._client.aclose()
        await asyncio.to_thread(self._child.stop)

    async def values(self, expression: str) -> list[float]:
        """Return the value of each series that an expression has now; what is no number is left out."""
        data = await self._data("query", query=expression)
        found = [float(series["value"][1]) for series in data["result"]]
        return [value for value in found if not math.isnan(value)]

    async def rules(self) -> dict[str, tuple[str, str]]:
        """Return the health (`ok` once it was evaluated) and the state of each alerting rule."""
        groups = (await self._data("rules", type="alert"))["groups"]
        return {rule["name"]: (rule["health"], rule["state"]) for group in groups for rule in group["rules"]}

    async def healthy_targets(self) -> int:
        """Return how many targets were scraped with success."""
        return sum(target["health"] == "up" for target in (await self._data("targets"))["activeTargets"])

    async def _data(self, what: str, **parameters: str) -> dict[str, Any]:
        answer = await self._client.get(f"/api/v1/{what}", params=parameters)
        assert answer.status_code == httpx2.codes.OK, answer.text
        data: dict[str, Any] = answer.json()["data"]
        return data

    async def _ready(self) -> bool:
        assert self._child.running, self._child.last_lines()
        try:
            return (await self._client.get("/-/ready")).status_code == httpx2.codes.OK
        except httpx2.TransportError:
            return False


def configuration(targets: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return the deployed configuration with these targets, looked at more often."""
    deployed: dict[str, Any] = yaml.safe_load(DEPLOYED.read_text())
    assert {job["job_name"] for job in deployed["scrape_configs"]} == set(targets)
    return {
        "global": {"scrape_interval": INTERVAL, "scrape_timeout": INTERVAL, "evaluation_interval": INTERVAL},
        "rule_files": [str(DEPLOYED.parent / name) for name in deployed["rule_files"]],
        "scrape_configs": [
            {
                **{key: value for key, value in job.items() if key != "dns_sd_configs"},
                "static_configs": [{"targets": list(targets[job["job_name"]])}],
            }
            for job in deployed["scrape_configs"]
        ],
    }
