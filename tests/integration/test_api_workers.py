"""Several workers of one uvicorn."""

import asyncio
import sys
from pathlib import Path

import httpx2
import psutil

from anomaly_cache.servers.child import Child
from anomaly_cache.servers.ports import free_port
from tests.support.api import ANOMALIES, metric, run_to_end
from tests.support.processes import ADMIN_KEY, ANALYST_KEY, Program, clean_environment
from tests.support.waiting import eventually

KEYS = f"analyst={ANALYST_KEY},admin={ADMIN_KEY}"


async def test_the_metrics_of_several_workers_are_one(environment: dict[str, str], tmp_path: Path) -> None:
    """Whichever worker is asked; a worker that dies takes its gauges along, and leaves its counts behind."""
    port = free_port()
    workers = Child(
        "workers",
        [sys.executable, "-m", "uvicorn", "--factory", "service.app:create", "--workers", "2", "--port", str(port)],
        log=tmp_path / "workers.log",
        environment={**clean_environment(), **environment, "API_KEYS": KEYS, "TMPDIR": str(tmp_path)},
        directory=Path(__file__).parents[2],
    )
    workers.start()
    try:
        program = Program("workers", [], port=port, child=workers)
        await program.ready()
        await eventually(lambda: _count_of_workers(port, 2), within=10)
        for _ in range(40):
            await _fresh_get(port, ANOMALIES)
        text = (await _fresh_get(port, "/metrics")).text
        route = f'http_requests_total{{method="GET",route="{ANOMALIES}",status="200"}}'
        for _ in range(10):
            assert metric((await _fresh_get(port, "/metrics")).text, route) == 40
        assert metric(text, "cache_l1_max_bytes") == 2 * 64 * 2**20
        assert metric(text, "cache_database_up") == 1

        victim = max(psutil.Process(workers.pid).children(), key=lambda child: child.create_time())
        victim.kill()
        await eventually(lambda: _count_of_workers(port, 2), within=10)
        text = (await _fresh_get(port, "/metrics")).text
        assert metric(text, route) == 40
        assert metric(text, "cache_l1_max_bytes") == 2 * 64 * 2**20
    finally:
        workers.stop()


async def test_wrong_settings_stop_all_workers(environment: dict[str, str]) -> None:
    """Or uvicorn would start them again for ever."""
    command = ("-m", "uvicorn", "--factory", "service.app:create", "--workers", "2", "--port", str(free_port()))
    ended = await asyncio.to_thread(run_to_end, *command, **{**environment, "DATABASE_URL": "mysql://h/d"})
    assert ended.returncode == 0
    assert "DATABASE_URL: must begin with postgresql://" in ended.stderr


async def _fresh_get(port: int, path: str) -> httpx2.Response:
    """Ask on a connection of its own, which either worker may take."""
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers={"X-API-Key": ANALYST_KEY}) as client:
        return await client.get(path)


async def _count_of_workers(port: int, count: int) -> bool:
    text = (await _fresh_get(port, "/metrics")).text
    return metric(text, "cache_l1_max_bytes") == count * 64 * 2**20
