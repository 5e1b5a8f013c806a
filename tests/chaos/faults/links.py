"""Faults of the network between one process and one server."""

import asyncio
from dataclasses import dataclass
from typing import ClassVar

from tests.chaos.faults.fault import Fault
from tests.support.proxy import Proxy


@dataclass
class LinkSilent(Fault):
    """Nothing passes; connections stay, and new ones are as silent. All that was sent comes in the end."""

    name: ClassVar[str] = "link silent"
    link: Proxy

    async def start(self) -> None:
        """Fall silent."""
        self.link.stall()

    async def heal(self) -> None:
        """Let all through."""
        self.link.resume()


@dataclass
class LinkSlow(Fault):
    """All that passes takes so many seconds longer, each way."""

    name: ClassVar[str] = "link slow"
    link: Proxy
    seconds: float = 0.1

    async def start(self) -> None:
        """Slow down."""
        self.link.latency = self.seconds

    async def heal(self) -> None:
        """Be as fast as ever."""
        self.link.latency = 0.0


@dataclass
class LinkRefused(Fault):
    """Its connections are reset, and new ones refused."""

    name: ClassVar[str] = "link refused"
    link: Proxy

    async def start(self) -> None:
        """Refuse."""
        self.link.refuse()

    async def heal(self) -> None:
        """Take connections again."""
        await self.link.accept()


@dataclass
class LinkReset(Fault):
    """Its connections are reset again and again; new ones are made at once."""

    name: ClassVar[str] = "link reset"
    link: Proxy
    every: float = 0.3
    _resetting: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to reset them."""
        self._resetting = asyncio.create_task(self._reset())

    async def heal(self) -> None:
        """Reset no more."""
        assert self._resetting is not None
        self._resetting.cancel()
        await asyncio.gather(self._resetting, return_exceptions=True)

    async def _reset(self) -> None:
        while True:
            self.link.reset()
            await asyncio.sleep(self.every)
