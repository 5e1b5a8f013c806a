"""Faults of an API process."""

from dataclasses import dataclass
from typing import ClassVar

from tests.chaos.faults.fault import Fault
from tests.support.processes import Program


@dataclass
class ApiPaused(Fault):
    """SIGSTOP and, in the end, SIGCONT."""

    name: ClassVar[str] = "API paused"
    api: Program

    async def start(self) -> None:
        """Stop it in its tracks."""
        self.api.pause()

    async def heal(self) -> None:
        """Let it run on."""
        self.api.resume()


@dataclass
class ApiKilled(Fault):
    """SIGKILL; it is started again in the end."""

    name: ClassVar[str] = "API killed"
    api: Program

    async def start(self) -> None:
        """Kill it."""
        self.api.kill()

    async def heal(self) -> None:
        """Start it again; returns when it is ready."""
        self.api.start_again()
        await self.api.ready(within=30.0)
