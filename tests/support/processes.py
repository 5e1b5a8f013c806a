"""The real programs as child processes: `python -m service`, `python -m listener`."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2

from anomaly_cache.servers.child import Child
from anomaly_cache.servers.ports import free_port
from tests.support.freezing import freeze, thaw
from tests.support.nursery import Nursery, Nursling
from tests.support.waiting import eventually

ANALYST_KEY = "analyst-key-of-the-tests"
ADMIN_KEY = "admin-key-of-the-tests!!"
SETTINGS = ("CONSOLE", "DATABASE_", "DB_", "REDIS_", "CACHE_", "API_", "LISTENER_", "WARM_", "LOG_", "PUT_", "PG")
OF_TRACES = ("TRACING", "OTEL_")
WITHOUT_EXTRA = Path(__file__).parent / "without_otel"
"""Goes before the environment's packages: redis-py imports OpenTelemetry wherever it is, which takes a while."""


class Program:
    """One running program: where it listens, what it logged, and the signals to send it."""

    def __init__(self, name: str, command: list[str], *, port: int, child: Child) -> None:
        self.name = name
        self.command = command
        self.port = port
        self.child = child

    @property
    def url(self) -> str:
        """Where its HTTP is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.child.pid

    def client(self, key: str = ANALYST_KEY) -> httpx2.AsyncClient:
        """Return a client of its HTTP with an API key; use it as an async context manager."""
        return httpx2.AsyncClient(base_url=self.url, headers={"X-API-Key": key}, timeout=10, trust_env=False)

    async def ready(self, path: str = "/readyz", within: float = 30.0) -> None:
        """Wait until `path` answers 200; fails with its last log lines if it ends first."""
        async with self.client() as client:

            async def answers() -> bool:
                if not self.child.running:
                    return True
                try:
                    return (await client.get(path)).status_code == httpx2.codes.OK
                except httpx2.TransportError:
                    return False

            try:
                await eventually(answers, within=within, every=0.02)
            except AssertionError:
                self._fail(f"does not answer 200 on {path} after {within:g} s")
        if not self.child.running:
            self._fail(f"ended with code {self.child.returncode}")

    def logs(self, event: str | None = None) -> list[dict[str, Any]]:
        """Return its JSON log lines so far, or those of one event; fails on a line that is no JSON."""
        text = self.child.log.read_text() if self.child.log.exists() else ""
        lines = [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
        return [line for line in lines if event in (None, line.get("event"))]

    async def logged(self, event: str, within: float = 20.0, **fields: object) -> dict[str, Any]:
        """Wait for a log line of this event with these fields, and return it."""

        def look() -> dict[str, Any] | None:
            for line in self.logs(event):
                if all(line.get(name) == value for name, value in fields.items()):
                    return line
            return None

        return await eventually(look, within=within)

    async def stop(self, within: float = 10.0) -> None:
        """SIGTERM it; fails unless it exits with 0 in time."""
        self.resume()
        self.child.send(signal.SIGTERM)
        await self.ended(within)
        if self.child.returncode != 0:
            self._fail(f"exited with {self.child.returncode} on SIGTERM")

    async def ended(self, within: float = 10.0) -> int:
        """Wait for its end and return the exit code; past `within` seconds it is killed and we fail."""
        try:
            await eventually(lambda: not self.child.running, within=within)
        except AssertionError:
            self.child.kill()
            self._fail(f"did not end within {within:g} s")
        code = self.child.returncode
        assert code is not None
        return code

    def kill(self) -> None:
        """SIGKILL it."""
        self.child.kill()

    def pause(self) -> None:
        """SIGSTOP it and its workers."""
        freeze(self.pid)

    def resume(self) -> None:
        """SIGCONT it and its workers."""
        if self.child.running:
            thaw(self.pid)

    def start_again(self) -> None:
        """Start it again with the same settings, after it ended."""
        self.child.start()

    def _fail(self, what: str) -> None:
        raise AssertionError(f"{self.name} {what}:\n{self.child.last_lines(30)}")


class Programs:
    """Starts programs for a test, with no settings but those that it names, and ends them all.

    With a nursery they are forked from a process that has imported them, where their environment lets them.
    """

    def __init__(self, directory: Path, nursery: Nursery | None = None) -> None:
        self._directory = directory
        self._nursery = nursery
        self._started: list[Program] = []

    async def api(self, *arguments: str, wait: bool = True, **settings: str) -> Program:
        """Start `python -m service` on a free port; wait until it is ready unless told otherwise."""
        port = int(settings.pop("API_PORT", "0")) or free_port()
        keys = f"analyst={ANALYST_KEY},admin={ADMIN_KEY}"
        defaults = {"API_HOST": "127.0.0.1", "API_PORT": str(port), "API_KEYS": keys}
        return await self.run("service", *arguments, port=port, wait=wait, settings={**defaults, **settings})

    async def listener(self, *arguments: str, wait: bool = True, **settings: str) -> Program:
        """Start `python -m listener` on a free health port; wait until it is ready unless told otherwise."""
        port = int(settings.pop("LISTENER_HEALTH_PORT", "0")) or free_port()
        defaults = {"LISTENER_HEALTH_PORT": str(port)}
        return await self.run("listener", *arguments, port=port, wait=wait, settings={**defaults, **settings})

    async def run(
        self, module: str, *arguments: str, port: int, settings: Mapping[str, str], wait: bool = True
    ) -> Program:
        """Start `python -m module` with these settings; HTTP is expected on `port`."""
        name = f"{module}-{len(self._started)}"
        command = [sys.executable, "-m", module, *arguments]
        environment = {**clean_environment(traced=settings.get("TRACING") == "on"), **settings}
        log = self._directory / f"{name}.log"
        if self._nursery is not None and self._nursery.takes(environment):
            child: Child = Nursling(
                name, command, log=log, environment=environment, directory=self._directory, nursery=self._nursery
            )
        else:
            child = Child(name, command, log=log, environment=environment, directory=self._directory)
        program = Program(name, command, port=port, child=child)
        self._started.append(program)
        child.start()
        if wait:
            await program.ready()
        return program

    async def close(self) -> None:
        """SIGTERM all that run; fails if one does not exit with 0."""
        running = [program for program in self._started if program.child.running]
        try:
            ends = await asyncio.gather(*[program.stop() for program in running], return_exceptions=True)
        finally:
            for program in running:
                program.kill()
        for end in ends:
            if end is not None:
                raise end


def clean_environment(*, traced: bool = False) -> dict[str, str]:
    """Our environment without the system's settings; programs run with it read no `.env` but their own.

    Unless they are `traced`, they run as most are installed, without the extra `otel`.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith((*SETTINGS, *OF_TRACES))}
    if not traced:
        kept["PYTHONPATH"] = os.pathsep.join(filter(None, [str(WITHOUT_EXTRA), kept.get("PYTHONPATH")]))
    return {**kept, "PYTHONUNBUFFERED": "1"}
