"""Several workers of one uvicorn."""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import psutil

from anomaly_cache.servers.child import Child
from anomaly_cache.servers.ports import free_port
from service.protocol import HEAD_LIMIT
from service.settings import ServiceSettings
from tests.support.api import ANOMALIES, metric, run_to_end
from tests.support.lease import leased
from tests.support.processes import ADMIN_KEY, ANALYST_KEY, Program, clean_environment
from tests.support.waiting import eventually

ROUTE = f'http_requests_total{{method="GET",route="{ANOMALIES}",status="200"}}'
KEYS = f"analyst={ANALYST_KEY},admin={ADMIN_KEY}"


@asynccontextmanager
async def two_workers(directory: Path, settings: Mapping[str, str]) -> AsyncIterator[Program]:
    """Run two workers as the manual says, until both answer."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "--factory", "service.app:create", "--workers", "2"]
    workers = Child(
        "workers",
        [*command, "--http", "service.fast.protocol:Protocol", "--no-access-log", "--port", str(port)],
        log=directory / "workers.log",
        environment={**clean_environment(), **settings, "API_KEYS": KEYS, "TMPDIR": str(directory)},
        directory=Path(__file__).parents[2],
    )
    workers.start()
    try:
        program = Program("workers", [], port=port, child=workers)
        await program.ready()
        await eventually(lambda: _count_of_workers(port, 2))
        yield program
    finally:
        workers.stop()


async def test_the_metrics_of_several_workers_are_one(environment: dict[str, str], tmp_path: Path) -> None:
    """Whichever worker is asked; a worker that dies takes its gauges along, and leaves its counts behind."""
    async with two_workers(tmp_path, environment) as workers:
        port = workers.port
        for _ in range(40):
            await _fresh_get(port, ANOMALIES)
        text = (await _fresh_get(port, "/metrics")).text
        for _ in range(10):
            assert metric((await _fresh_get(port, "/metrics")).text, ROUTE) == 40
        assert metric(text, "cache_l1_max_bytes") == 2 * 64 * 2**20
        assert metric(text, "cache_database_up") == 1

        parent = psutil.Process(workers.child.pid)
        before = parent.children()
        # Beside the workers there is a process that looks after what they share.
        next(child for child in before if "spawn_main" in " ".join(child.cmdline())).kill()
        # Until its parent has taken note of its death, it may pass for the one that takes its place.
        await eventually(lambda: set(parent.children()) - set(before), every=0.1)
        await eventually(lambda: _count_of_workers(port, 2))
        text = (await _fresh_get(port, "/metrics")).text
        assert metric(text, ROUTE) == 40
        assert metric(text, "cache_l1_max_bytes") == 2 * 64 * 2**20


async def test_workers_answer_and_count_hits_as_one_process_does(environment: dict[str, str], tmp_path: Path) -> None:
    """Every request is counted once, within the second that hits are counted by; heads are bounded."""
    shared = ServiceSettings.model_validate(
        {name.lower(): value for name, value in environment.items()} | {"api_keys": KEYS}
    )
    async with leased(shared), two_workers(tmp_path, environment) as workers:
        port = workers.port

        async def hit() -> bool:
            return "detail=l1" in (await _fresh_get(port, ANOMALIES)).headers["cache-status"]

        before = metric((await _fresh_get(port, "/metrics")).text, ROUTE)
        asked = 0
        while asked < 40:
            asked += 1
            await hit()

        async def counted() -> bool:
            text = (await _fresh_get(port, "/metrics")).text
            kinds = [f'cache_{kind}_total{{cache_key_type="anomalies"}}' for kind in ("hits", "misses")]
            bypasses = metric(text, 'cache_bypasses_total{cache_key_type="anomalies",reason="no-lease"}')
            return metric(text, ROUTE) - before == 40 == sum(metric(text, kind) for kind in kinds) + bypasses

        await eventually(counted)
        await eventually(hit)
        response = await _fresh_get(port, ANOMALIES, {"x-long": "x" * (HEAD_LIMIT + 1)})
        assert response.status_code == 431


async def test_wrong_settings_stop_all_workers(environment: dict[str, str]) -> None:
    """Or uvicorn would start them again for ever."""
    command = ("-m", "uvicorn", "--factory", "service.app:create", "--workers", "2", "--port", str(free_port()))
    ended = await asyncio.to_thread(run_to_end, *command, **{**environment, "DATABASE_URL": "mysql://h/d"})
    assert ended.returncode == 0
    assert "DATABASE_URL: must begin with postgresql://" in ended.stderr


async def _fresh_get(port: int, path: str, headers: Mapping[str, str] | None = None) -> httpx2.Response:
    """Ask on a connection of its own, which either worker may take."""
    given = {"X-API-Key": ANALYST_KEY, **(headers or {})}
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=given) as client:
        return await client.get(path)


async def _count_of_workers(port: int, count: int) -> bool:
    text = (await _fresh_get(port, "/metrics")).text
    return metric(text, "cache_l1_max_bytes") == count * 64 * 2**20
