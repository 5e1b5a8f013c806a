"""Faults of a listener and of its session with Postgres."""

import asyncio
import hashlib
from dataclasses import dataclass, field
from importlib.resources import files
from typing import ClassVar, Literal

import psycopg

from tests.chaos.faults.fault import Fault, Repeated
from tests.support.processes import Program
from tests.support.proxy import Proxy
from tests.support.redis_proxy import Command, Meddling, RedisProxy
from tests.support.waiting import eventually

END_SESSIONS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
 WHERE datname = current_database() AND application_name LIKE 'anomaly-cache listener%'
"""


@dataclass
class ListenerKilled(Fault):
    """SIGKILL; it is started again in the end."""

    name: ClassVar[str] = "listener killed"
    listener: Program

    async def start(self) -> None:
        """Kill it."""
        self.listener.kill()

    async def heal(self) -> None:
        """Start it again; returns when it serves or stands by."""
        self.listener.start_again()
        await self.listener.ready(within=30.0)


@dataclass
class ListenerPaused(Fault):
    """SIGSTOP and, in the end, SIGCONT."""

    name: ClassVar[str] = "listener paused"
    listener: Program

    async def start(self) -> None:
        """Stop it in its tracks."""
        self.listener.pause()

    async def heal(self) -> None:
        """Let it run on."""
        self.listener.resume()


@dataclass
class ListenKilled(Repeated):
    """Postgres ends the sessions of the listeners, again and again."""

    name: ClassVar[str] = "LISTEN killed"
    database_url: str
    every: float = 0.4

    async def strike(self) -> None:
        """End them."""
        async with await psycopg.AsyncConnection.connect(self.database_url, autocommit=True) as connection:
            await connection.execute(END_SESSIONS)


@dataclass
class ListenHalfOpen(Fault):
    """Postgres' end of the listener's connections goes, and nobody tells the listener; new connections work."""

    name: ClassVar[str] = "LISTEN half-open"
    link: Proxy

    async def start(self) -> None:
        """Leave the listener with a connection to nowhere."""
        self.link.half_open()

    async def heal(self) -> None:
        """There is nothing to mend."""


@dataclass
class ListenSilent(Fault):
    """Nothing passes between the listener and Postgres; connections stay, and new ones are as silent."""

    name: ClassVar[str] = "LISTEN silent"
    link: Proxy

    async def start(self) -> None:
        """Fall silent."""
        self.link.stall()

    async def heal(self) -> None:
        """Let all through, what was sent meanwhile too."""
        self.link.resume()


Script = Literal["bump", "renew"]
Side = Literal["command", "answer"]


@dataclass
class ScriptHeld(Fault, Meddling):
    """The next bump or renewal that passes is held back: before Redis gets it, or its answer."""

    name: ClassVar[str] = "script held"
    proxy: RedisProxy
    script: Script
    side: Side
    held: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while it is held."""
    _healed: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        source = (files("coherence") / "lua" / f"{self.script}.lua").read_bytes()
        self._digest = hashlib.sha1(source, usedforsecurity=False).hexdigest().encode()

    async def start(self) -> None:
        """Lie in wait for it."""
        self.held.clear()
        self._healed.clear()
        self.proxy.meddling = self

    async def heal(self) -> None:
        """Let it go."""
        self.proxy.meddling = Meddling()
        self._healed.set()
        self.held.clear()

    async def holds(self) -> None:
        """Wait until it is held."""
        await eventually(self.held.is_set, within=30.0)

    async def command(self, command: Command) -> None:
        """Hold it back before Redis gets it."""
        if self.side == "command":
            await self._hold(command)

    async def answer(self, command: Command) -> None:
        """Hold back its answer."""
        if self.side == "answer":
            await self._hold(command)

    async def _hold(self, command: Command) -> None:
        if command.words[0].upper() == b"EVALSHA" and command.words[1] == self._digest and not self.held.is_set():
            self.held.set()
            await self._healed.wait()
