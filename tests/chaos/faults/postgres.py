"""Faults of a Postgres that runs: a lock, and no connection left."""

from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import ClassVar

import psycopg

from tests.chaos.faults.fault import Fault
from tests.chaos.fleet import Fleet


@dataclass
class TableLocked(Fault):
    """Nobody can read the table, nor write to it."""

    name: ClassVar[str] = "table locked"
    fleet: Fleet
    _locked: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def start(self) -> None:
        """Lock it."""
        owner = await self._locked.enter_async_context(
            await psycopg.AsyncConnection.connect(self.fleet.database_url),
        )
        await owner.execute("LOCK TABLE anomalies")

    async def heal(self) -> None:
        """Unlock it."""
        await self._locked.aclose()


@dataclass
class ConnectionsUsedUp(Fault):
    """Others have all connections, and those of the processes break."""

    name: ClassVar[str] = "connections used up"
    fleet: Fleet
    _taken: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def start(self) -> None:
        """Take what is left, break what the processes have, and take that."""
        await self._take()
        for node in (*self.fleet.apis, *self.fleet.ears):
            node.postgres.reset()
        await self._take()

    async def heal(self) -> None:
        """Give all back."""
        await self._taken.aclose()

    async def _take(self) -> None:
        try:
            while True:
                await self._taken.enter_async_context(await self.fleet.connect())
        except psycopg.OperationalError:
            return
