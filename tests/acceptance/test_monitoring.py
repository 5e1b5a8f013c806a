"""A real Prometheus beside the running system: every panel shows something, every rule is evaluated."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.acceptance.conftest import PATIENT, fill, start
from tests.acceptance.system import ANOMALIES, System
from tests.support.dashboard import VARIABLES, queries
from tests.support.processes import Programs
from tests.support.prometheus import Prometheus
from tests.support.promql import selected_by
from tests.support.tools import tool
from tests.support.waiting import eventually
from tests.unit.test_deploy_monitoring import RULES

WATCHED = {**PATIENT, "CACHE_AUDIT_RATE": "1"}
FILTERED = ("label_values(", ", instance)")


@pytest.fixture
async def watched(programs: Programs, migrated_url: str, redis_url: str, cache_prefix: str) -> AsyncIterator[System]:
    """Two replicas that look at their hits again, and a listener."""
    async with System(programs, migrated_url, redis_url, cache_prefix, WATCHED) as system:
        await fill(system)
        await start(system)
        yield system


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
