"""A listener and API replicas as processes, on servers that run."""

import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from anomaly_cache.config import PROGRAMS
from anomaly_cache.demo.database import API_ROLE, LISTENER_ROLE
from anomaly_cache.demo.programs import Program, stop, until_ready
from anomaly_cache.demo.servers import Servers
from anomaly_cache.servers.child import Child
from anomaly_cache.servers.ports import free_port
from bench.servers import ROLE_PASSWORD, copy, drop

API_KEY = "analyst-key-of-the-bench"
REPLICAS = 2


@dataclass(frozen=True, slots=True)
class System:
    """What runs: where its database is, for a superuser, its servers and its programs."""

    database_url: str
    servers: Servers
    listener: Program
    replicas: tuple[Program, ...]

    def processes(self) -> dict[str, list[psutil.Process]]:
        """Return the processes of each program and server, by its name; and of ourselves, who read and write."""
        programs = [each.child for each in (self.listener, *self.replicas)]
        children = [*programs, self.servers.postgres.child, self.servers.valkey.child]
        us = psutil.Process()
        known = {child.pid for child in children}
        return {
            **{each.name: tree(psutil.Process(each.pid)) for each in children},
            "reader": [us],
            "writer": [each for each in us.children() if each.pid not in known],
        }


def tree(process: psutil.Process) -> list[psutil.Process]:
    """Return a process and all that descend from it."""
    return [process, *process.children(recursive=True)]


@asynccontextmanager
async def system(
    servers: Servers,
    name: str,
    settings: Mapping[str, str],
    *,
    replicas: Sequence[Mapping[str, str]] = ({},) * REPLICAS,
    served: Sequence[str] = (),
    api: str = "service",
) -> AsyncIterator[System]:
    """Start a listener and replicas on a fresh copy of the seeded database; wait until they are ready.

    `name` is the database's, and the prefix of the keys; `settings` go to all programs, those in `replicas` to one
    replica each. `served` stands before a replica's command, and `api` is the module that it runs. Raises DemoError
    where a program does not start.
    """
    await copy(servers.postgres, name)
    with TemporaryDirectory(prefix="anomaly-cache-bench-logs-") as logs:
        common = {"REDIS_URL": servers.valkey.url, "CACHE_PREFIX": f"{name}:", **settings}

        def program(module: str, label: str, port: int, role: str, **settings: str) -> Program:
            url = servers.postgres.url_for(name, user=role, password=ROLE_PASSWORD)
            environment = {**own_environment(), **common, "DATABASE_URL": url, **settings}
            command = [*(served if module == api else ()), sys.executable, "-m", module]
            log = Path(logs) / f"{label}.log"
            return Program(Child(label, command, log=log, environment=environment, directory=Path(logs)), port)

        port = free_port()
        listener = program("listener", "listener", port, LISTENER_ROLE, LISTENER_HEALTH_PORT=str(port))
        started = []
        for number, own in enumerate(replicas, 1):
            port = free_port()
            mine = {"API_PORT": str(port), "API_KEYS": f"analyst={API_KEY}", "WARM_QUERIES": "none", **own}
            started.append(program(api, f"api-{number}", port, API_ROLE, **mine))
        programs = [listener, *started]
        try:
            for each in programs:
                each.child.start()
            await until_ready(programs)
            yield System(servers.postgres.url_for(name), servers, listener, tuple(started))
        finally:
            await stop(programs)
    await drop(servers.postgres, name)


def own_environment() -> dict[str, str]:
    """Our environment without any setting of the programs'."""
    known = {field.upper() for settings in PROGRAMS.values() for field in settings.model_fields}
    root = str(Path(__file__).resolve().parents[1])
    kept = {name: value for name, value in os.environ.items() if name.upper() not in known}
    # The checkout that this file is in is what is measured, whatever is installed.
    return {**kept, "PYTHONPATH": root, "PYTHONUNBUFFERED": "1"}
