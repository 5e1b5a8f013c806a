"""Run the real `anomaly-cache demo` as a person would, and read what it says."""

import asyncio
import os
import re
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil

from anomaly_cache.servers.account import Account
from anomaly_cache.servers.child import Child
from tests.support.liveness import alive
from tests.support.processes import clean_environment
from tests.support.waiting import eventually

READY = "Ctrl-C ends"
START_SECONDS = 60.0
NONE_OF_ITS_BUSINESS = {
    "DATABASE_URL": "postgresql://nowhere.invalid/none",
    "REDIS_HOST": "nowhere.invalid",
    "CACHE_ENABLED": "false",
    "PGSSLMODE": "require",
    "COLUMNS": "200",
}
"""An environment in which other systems have their settings."""
STOP_SECONDS = 30.0
THIS = (sys.executable, "-m", "anomaly_cache")


class RunningDemo:
    """One run of the demo, with its output in a file; of this checkout's, and ours, unless others are given."""

    def __init__(
        self,
        state: Path,
        *arguments: str,
        log: Path,
        program: Sequence[str | Path] = THIS,
        account: Account | None = None,
    ) -> None:
        self.state = state
        command = [*program, "demo", "--state", state, "--rows", "500", *arguments]
        environment = {**clean_environment(), **NONE_OF_ITS_BUSINESS}
        if program is not THIS:
            environment.pop("PYTHONPATH", None)
        self.child = Child("demo", command, log=log, environment=environment, account=account)
        self.family: list[psutil.Process] = []

    @property
    def said(self) -> str:
        """Everything it has printed so far."""
        return self.child.log.read_text() if self.child.log.exists() else ""

    async def start(self) -> None:
        """Start it and wait until it follows invalidations; fails if it ends before."""
        self.child.start()
        await eventually(lambda: READY in self.said or not self.child.running, within=START_SECONDS)
        assert self.child.running, self.said
        self.family = psutil.Process(self.child.pid).children(recursive=True)

    async def ended(self) -> int:
        """Wait for its end and return the exit code; fails if it, or anything that it started, still runs."""
        await eventually(lambda: not self.child.running, within=STOP_SECONDS)
        await eventually(lambda: not [each for each in self.family if alive(each)], within=5)
        assert self.child.returncode is not None
        return self.child.returncode

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, wait for the end and return the exit code."""
        self.child.send(number)
        return await self.ended()

    def commands(self) -> list[str]:
        """The commands of the tour, in their order."""
        _, _, tour = self.said.partition("A tour")
        return [line.strip() for line in tour.splitlines() if re.match(r"  (curl|\S*psql) ", line)]

    def variables(self) -> dict[str, str]:
        """What the file for a shell sets."""
        words = shlex.split((self.state / "env").read_text(), comments=True)
        return dict(word.split("=", 1) for word in words if "=" in word)

    def key(self, role: str) -> str:
        """An API key that it printed."""
        found = re.search(rf"{role}'s key\s+(\S+)", self.said)
        assert found is not None, self.said
        return found[1]

    def member(self, name: str) -> psutil.Process:
        """The process that runs this program, such as `listener`."""
        return next(each for each in self.family if each.cmdline()[-2:] == ["-m", name])


async def shell(command: str) -> str:
    """Run a command as if pasted into a terminal; it must succeed. Returns what it printed."""
    process = await asyncio.create_subprocess_shell(
        command,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "no_proxy": "127.0.0.1"},
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()
