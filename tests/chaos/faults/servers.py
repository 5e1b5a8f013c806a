"""Faults of Postgres and Redis as processes."""

import asyncio
from dataclasses import dataclass
from typing import ClassVar

from tests.chaos.faults.fault import Fault
from tests.support.own_servers import OwnPostgres, OwnValkey


@dataclass
class PostgresKilled(Fault):
    """SIGKILL of all its processes; it recovers in the end."""

    name: ClassVar[str] = "Postgres killed"
    server: OwnPostgres

    async def start(self) -> None:
        """Kill it."""
        await asyncio.to_thread(self.server.kill)

    async def heal(self) -> None:
        """Start it; returns when it has recovered."""
        await asyncio.to_thread(self.server.start)


@dataclass
class ServerPaused(Fault):
    """SIGSTOP of a server and, in the end, SIGCONT: connections stay, and nothing answers."""

    name: ClassVar[str] = "server paused"
    server: OwnPostgres | OwnValkey

    async def start(self) -> None:
        """Stop it in its tracks."""
        self.server.pause()

    async def heal(self) -> None:
        """Let it run on."""
        self.server.resume()
