"""The services of compose.yaml as local processes: their own commands, environments and health checks."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from anomaly_cache.servers.account import server_account
from anomaly_cache.servers.binaries import find_postgres, find_valkey
from anomaly_cache.servers.child import Child
from anomaly_cache.servers.ports import free_port
from anomaly_cache.servers.postgres import Postgres
from anomaly_cache.servers.reach import usable
from tests.support.compose_file import ROOT
from tests.support.local_addresses import Addresses

HEALTHY_SECONDS = 30.0
CHECK_SECONDS = 10.0
PROGRAMS = Path(sys.executable).parent

# What the real image does before it becomes the server. The port and the directory are the test's.
REDIS_ENTRY_POINT = '#!/bin/sh\nexec "$@" --port {port} --bind 127.0.0.1 --dir {directory}\n'
REDIS_SERVER = '#!/bin/sh\nexec {binary} "$@"\n'
REDIS_CLI = """#!{python}
import os, sys, redis
client = redis.Redis(port={port}, password=os.environ.get("REDISCLI_AUTH") or None)
print(client.execute_command(*sys.argv[1:]))
"""


@dataclass(frozen=True, slots=True)
class Container:
    """One running service, or one of its replicas."""

    service: str
    child: Child
    environment: dict[str, str]
    check: list[str]
    port: int

    def healthy(self) -> bool:
        """Run the service's own health check once."""
        done = subprocess.run(self.check, env=self.environment, capture_output=True, check=False, timeout=CHECK_SECONDS)
        return done.returncode == 0


class LocalCompose:
    """Starts services. `directory` must be one that the account of Postgres can enter."""

    def __init__(self, directory: Path, services: Mapping[str, Any]) -> None:
        self.services = services
        self._directory = directory
        self._ports = {("postgres", "5432"): free_port(), ("redis", "6379"): free_port()}
        self._binaries = usable(find_postgres(), server_account(), directory)
        self._started: list[Child] = []

    @property
    def postgres_port(self) -> int:
        """Where Postgres is."""
        return self._ports["postgres", "5432"]

    @property
    def redis_port(self) -> int:
        """Where Redis is."""
        return self._ports["redis", "6379"]

    def up(self) -> dict[str, list[Container]]:
        """Start every service that we have the program for, each when what it depends on is healthy or has finished."""
        running: dict[str, list[Container]] = {}
        waiting = ["postgres", "redis", "migrate", "listener", "api"]
        while waiting:
            name = next(name for name in waiting if not self.services[name].get("depends_on", {}).keys() & set(waiting))
            waiting.remove(name)
            if "healthcheck" not in self.services[name]:
                self.run(name)
                continue
            running[name] = [self.start(name) for _ in range(self.services[name].get("scale", 1))]
            for container in running[name]:
                container.child.until(container.healthy, HEALTHY_SECONDS)
        return running

    def start(self, name: str, service: Mapping[str, Any] | None = None) -> Container:
        """Start one container of a service, as compose.yaml has it or as it is given."""
        service = service or self.services[name]
        match name:
            case "postgres":
                return self._postgres(service)
            case "redis":
                return self._redis(service)
        return self._program(name, service)

    def run(self, name: str) -> str:
        """Run a one-shot service to its end and return what it said; fails unless it exits with 0."""
        container = self._program(name, self.services[name])
        code = container.child.wait(HEALTHY_SECONDS)
        said = container.child.last_lines(50)
        assert code == 0, f"{name} ended with {code}:\n{said}"
        return said

    def close(self) -> None:
        """End everything, the last one first."""
        for child in reversed(self._started):
            if child.running:
                child.stop()

    def _program(self, name: str, service: Mapping[str, Any]) -> Container:
        """Start one of our programs as the image does: its entry point, and no variable that compose.yaml has not."""
        addresses = Addresses(self._ports)
        environment = addresses.environment(service["environment"]) | {"PATH": f"{PROGRAMS}:/usr/bin:/bin"}
        command = [*entry_point(), *service["command"]]
        return self._start(name, service, addresses, [str(PROGRAMS / command[0]), *command[1:]], environment)

    def _postgres(self, service: Mapping[str, Any]) -> Container:
        """Start Postgres as its image does on a new volume: with this password, and a database of this name."""
        variables = service["environment"]
        assert variables["POSTGRES_USER"] == "postgres"
        directory = self._directory / "postgres"
        directory.mkdir(mode=0o711)
        server = Postgres(
            directory,
            binaries=self._binaries,
            port=self.postgres_port,
            account=server_account(),
            password=variables["POSTGRES_PASSWORD"],
            settings={"fsync": "off"},
        )
        self._started.append(server.child)
        server.start()
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(variables["POSTGRES_DB"])))
        environment = {
            **variables,
            "PGPORT": str(server.port),
            "PATH": f"{self._binaries.root / 'bin'}:{os.environ['PATH']}",
        }
        return Container("postgres", server.child, environment, check_of(service), server.port)

    def _redis(self, service: Mapping[str, Any]) -> Container:
        """Start the service's entry point and command, with programs of the image's names that are the embedded one."""
        directory = self._directory / "redis"
        directory.mkdir()
        values = {
            "port": self.redis_port,
            "directory": directory,
            "binary": find_valkey(),
            "python": sys.executable,
        }
        for name, text in (
            ("docker-entrypoint.sh", REDIS_ENTRY_POINT),
            ("redis-server", REDIS_SERVER),
            ("redis-cli", REDIS_CLI),
        ):
            (directory / name).write_text(text.format(**values))
            (directory / name).chmod(0o755)
        environment = {**service["environment"], "PATH": f"{directory}:{os.environ['PATH']}"}
        command = [*service["entrypoint"], *service["command"].split()]
        return self._start("redis", service, Addresses(self._ports), command, environment, self.redis_port)

    def _start(
        self,
        name: str,
        service: Mapping[str, Any],
        addresses: Addresses,
        command: list[str],
        environment: dict[str, str],
        port: int = 0,
    ) -> Container:
        number = len(self._started)
        log = self._directory / f"{name}-{number}.log"
        child = Child(f"{name}-{number}", command, log=log, environment=environment, directory=self._directory)
        self._started.append(child)
        child.start()
        own = next(iter(addresses.ports()), port)
        return Container(name, child, environment, addresses.command(check_of(service)), own)


def entry_point() -> list[str]:
    """Return the image's entry point, from the Dockerfile."""
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    [words] = [line.removeprefix("ENTRYPOINT ") for line in lines if line.startswith("ENTRYPOINT ")]
    command: list[str] = json.loads(words)
    return command


def check_of(service: Mapping[str, Any]) -> list[str]:
    """Return a service's health check as a command."""
    kind, *words = service.get("healthcheck", {}).get("test", ["NONE"])
    return ["sh", "-c", *words] if kind == "CMD-SHELL" else list(words)
