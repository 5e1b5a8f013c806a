"""The demo's own listener and API replicas."""

import asyncio
import json
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from anomaly_cache.config import PROGRAMS
from anomaly_cache.demo.database import API_ROLE, LISTENER_ROLE, NAME
from anomaly_cache.demo.errors import DemoError
from anomaly_cache.demo.probe import get
from anomaly_cache.demo.servers import Servers
from anomaly_cache.demo.state import Secrets
from anomaly_cache.servers.child import Child

READY_SECONDS = 30.0
STOP_SECONDS = 12.0
"""A program leaves within 10 s of SIGTERM."""


@dataclass(frozen=True, slots=True)
class Program:
    """One program of the demo, and the port on which it says that it is ready."""

    child: Child
    port: int

    @property
    def url(self) -> str:
        """Where its HTTP is."""
        return f"http://127.0.0.1:{self.port}"


def make_listener(state: Path, servers: Servers, secrets: Secrets, port: int) -> Program:
    """Return the listener, which logs in as the listener's role; not started."""
    settings = {
        "DATABASE_URL": servers.postgres.url_for(NAME, user=LISTENER_ROLE, password=secrets.listener),
        "REDIS_URL": servers.valkey.url,
        "LISTENER_HEALTH_PORT": str(port),
    }
    return _make("listener", "listener", port, state, settings)


def make_replica(state: Path, servers: Servers, secrets: Secrets, number: int, port: int) -> Program:
    """Return an API replica, which logs in as the API's role; not started."""
    settings = {
        "DATABASE_URL": servers.postgres.url_for(NAME, user=API_ROLE, password=secrets.api),
        "REDIS_URL": servers.valkey.url,
        "API_KEYS": f"analyst={secrets.analyst_key},admin={secrets.admin_key}",
        "API_PORT": str(port),
    }
    return _make(f"api-{number}", "service", port, state, settings)


async def until_ready(programs: list[Program]) -> None:
    """Wait until all are ready, caches on; raises DemoError if one ends or takes too long."""
    deadline = time.monotonic() + READY_SECONDS
    for program in programs:
        while not await _ready(program.port):
            name = program.child.name
            if not program.child.running:
                raise died(program.child)
            if time.monotonic() > deadline:
                raise DemoError(f"{name} is not ready after {READY_SECONDS:g} s:\n{program.child.last_lines()}")
            await asyncio.sleep(0.05)


async def stop(programs: list[Program]) -> None:
    """SIGTERM all at once, and kill what does not end in time."""
    running = [program.child for program in programs if program.child.running]
    for child in running:
        child.send(signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while any(child.running for child in running) and time.monotonic() < deadline:  # noqa: ASYNC110 - none has events
        await asyncio.sleep(0.02)
    for child in running:
        if child.running:
            child.kill()


def died(child: Child) -> DemoError:
    """Return the error that tells of a child's end, with its last log lines."""
    return DemoError(f"{child.name} ended with code {child.returncode}. The end of {child.log}:\n{child.last_lines()}")


async def _ready(port: int) -> bool:
    answer = await get(port, "/readyz")
    if answer is None or answer[0] != 200:  # noqa: PLR2004 - HTTP's OK
        return False
    try:
        report = json.loads(answer[1])
    except ValueError:
        return False
    return isinstance(report, dict) and report.get("status") != "degraded"


def _make(name: str, module: str, port: int, state: Path, settings: dict[str, str]) -> Program:
    logs = state / "logs"
    logs.mkdir(mode=0o700, exist_ok=True)
    log = logs / f"{name}.log"
    log.unlink(missing_ok=True)
    child = Child(
        name,
        [sys.executable, "-m", module],
        log=log,
        environment={**_environment(), **settings},
        directory=logs,  # where no .env is: whatever others say is not the demo's
    )
    return Program(child, port)


def _environment() -> dict[str, str]:
    """Our environment without any setting of the programs'."""
    known = {field.upper() for settings in PROGRAMS.values() for field in settings.model_fields}
    return {name: value for name, value in os.environ.items() if name.upper() not in known}
