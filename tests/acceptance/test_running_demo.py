"""The demo as it runs: its tour holds, and a real Prometheus that scrapes it has data for every panel."""

import asyncio
import re
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx2
import pytest

from anomaly_cache.servers.ports import free_port
from tests.acceptance.system import ANOMALIES
from tests.support.dashboard import VARIABLES, queries
from tests.support.demos import RunningDemo, shell
from tests.support.prometheus import Prometheus
from tests.support.promql import selected_by
from tests.support.tools import tool
from tests.support.waiting import eventually
from tests.unit.test_deploy_monitoring import RULES

FILTERED = ("label_values(", ", instance)")


@pytest.fixture(scope="module")
async def demo(server_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningDemo]:
    """One for all tests here. SIGTERM ends it with 0, and leaves no process."""
    log = tmp_path_factory.mktemp("demo") / "demo.log"
    made = RunningDemo(server_directory / "demo-shared", "--port", str(free_port()), log=log)
    try:
        await made.start()
        yield made
    finally:
        code = await made.stop(signal.SIGTERM) if made.child.running else made.child.returncode
    assert code == 0, made.said
    assert "Traceback" not in made.said


async def test_the_tour_holds(demo: RunningDemo, tmp_path: Path) -> None:
    """Pasted one after the other, the commands show a miss, a hit, an update, and a fresh answer from both replicas."""
    miss, hit, update, first, second = demo.commands()
    assert "fwd=uri-miss" in await shell(miss)
    assert "detail=l1" in await shell(hit)
    assert "UPDATE 1" in await shell(update)
    for command in (first, second):
        assert '"status":"CONFIRMED"' in (await shell(command)).replace(": ", ":")
    ports = re.findall(r"API replica \d\s+http://127\.0\.0\.1:(\d+)", demo.said)
    assert len(ports) == 2
    live = rf"anomalies update\s+1 notification\s+{ports[0]}:\s+\d+\.\d ms\s+{ports[1]}:\s+\d+\.\d ms"
    await eventually(lambda: re.search(live, demo.said))

    second_demo = RunningDemo(demo.state, log=tmp_path / "second.log")
    second_demo.child.start()
    assert await second_demo.ended() == 1
    assert f"another demo runs in {demo.state} already, as process {demo.child.pid}" in second_demo.said


class Traffic:
    """A little of all that the demo is there for. `replicas` are clients of an analyst's, `admins` of an admin's."""

    def __init__(self, demo: RunningDemo, clients: AsyncExitStack) -> None:
        self._demo = demo
        self._clients = clients
        self._rounds = 0

    async def begin(self) -> None:
        """Find out where all is, and choose two rows."""
        known = self._demo.variables()
        self.replicas = [await self._client(known[name], known["KEY"]) for name in ("API", "API2")]
        self.admins = [await self._client(known[name], known["ADMIN"]) for name in ("API", "API2")]
        self.listener = await self._client(known["LISTENER"], "")
        page = (await self.replicas[0].get(f"{ANOMALIES}?limit=5&offset=5")).json()["anomalies"]
        self._changed, self._put = (row["transaction_id"] for row in page[:2])
        self._account = page[0]["account_id"]

    async def _client(self, url: str, key: str) -> httpx2.AsyncClient:
        made = httpx2.AsyncClient(base_url=url, headers={"X-API-Key": key}, trust_env=False, timeout=20)
        return await self._clients.enter_async_context(made)

    async def round(self) -> None:
        """Change a row each way, and read each way from both replicas."""
        self._rounds += 1
        number = self._rounds
        change = f"UPDATE anomalies SET amount = {number} WHERE transaction_id = '{self._changed}'"  # noqa: S608 - ours
        await shell(f'{self._demo.state}/psql -c "{change}"')
        status = ("CONFIRMED", "NEW")[number % 2]
        assert (await self.replicas[0].put(f"{ANOMALIES}/{self._put}", json={"new_status": status})).is_success
        paths = (ANOMALIES, f"{ANOMALIES}?limit={number % 50 + 1}", f"/api/v1/transactions/{self._account}")
        for analyst, admin in zip(self.replicas, self.admins, strict=True):
            for path in paths:
                for _ in range(2):
                    assert (await analyst.get(path, headers={"Accept-Encoding": "gzip"})).is_success
            assert (await admin.get(ANOMALIES)).is_success


@pytest.fixture
async def traffic(demo: RunningDemo) -> AsyncIterator[Traffic]:
    """What a few clients do."""
    async with AsyncExitStack() as clients:
        made = Traffic(demo, clients)
        await made.begin()
        yield made


async def test_every_panel_and_every_alert_has_data(traffic: Traffic, tmp_path: Path) -> None:
    """Some traffic and changes later, Prometheus has a number for each query of the dashboard.

    Each rule was evaluated without an error, what it reads is there, and none fires. What `/metrics` says is as
    Prometheus' own linter would have it.
    """
    addresses = {
        "api": [client.base_url.netloc.decode() for client in traffic.replicas],
        "listener": [traffic.listener.base_url.netloc.decode()],
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

        async def all_there() -> bool:
            nonlocal missing
            await traffic.round()
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
        assert await prometheus.healthy_targets() == len(traffic.replicas) + 1
    for client in (traffic.replicas[0], traffic.listener):
        exposition = (await client.get("/metrics")).content
        done = await asyncio.to_thread(
            subprocess.run, [tool("promtool"), "check", "metrics"], input=exposition, capture_output=True, check=False
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
