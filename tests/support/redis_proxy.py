"""A proxy that speaks Redis' protocol, and so can meddle with single commands, answers and pushed messages."""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit, urlunsplit

from tests.support.resp import Frames, words

Address = tuple[str, int]
_READ_BYTES = 65536


@dataclass(frozen=True, slots=True)
class Command:
    """What a client asked: its words, on which of the proxy's connections (they count from 1), and when it came."""

    words: list[bytes]
    connection: int
    arrived: float

    @property
    def subscribes(self) -> bool:
        """Whether messages are pushed on its connection from here on."""
        return self.words[0].upper() == b"SUBSCRIBE"


@dataclass(frozen=True, slots=True)
class Push:
    """What the server sent on a connection that subscribed: a message, or word of a (un)subscription."""

    frame: bytes
    connection: int
    arrived: float

    @property
    def is_message(self) -> bool:
        """Whether it is a published message."""
        return words(self.frame)[0] == b"message"


class Meddling:
    """What a proxy does to what passes it: nothing. Times are those of `time.monotonic`.

    Each method is awaited before what it is about is passed on, and what follows on that connection waits behind it.
    """

    async def command(self, command: Command) -> bytes | None:
        """Return None to pass `command` on to the server, or what to answer in its stead."""
        del command
        return None

    async def answer(self, command: Command) -> None:
        """See the answer to `command` off."""

    async def push(self, push: Push) -> None:
        """See a pushed message off."""


@dataclass(slots=True)
class _Pending:
    command: Command
    instead: bytes | None


class RedisProxy:
    """Stands between clients and the Redis of a URL; `async with` runs it, `proxy.url` goes through it.

    `target` is where new connections lead, and `meddling` what befalls what passes; both may change at any time.
    """

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)
        self.target = address(url)
        self.meddling = Meddling()
        self.port = 0
        self.accepted = 0
        self._server: asyncio.Server | None = None
        self._links: dict[_Link, asyncio.Task[None]] = {}

    @property
    def url(self) -> str:
        """The server's URL with this proxy's address in it."""
        credentials, at, _ = self._parts.netloc.rpartition("@")
        return urlunsplit(self._parts._replace(netloc=f"{credentials}{at}127.0.0.1:{self.port}"))

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        tasks = list(self._links.values())
        self.reset()
        await asyncio.gather(*tasks, return_exceptions=True)

    def subscribers(self) -> frozenset[int]:
        """Return the connections that have subscribed."""
        return frozenset(link.number for link in self._links if link.subscribed)

    def connections(self) -> frozenset[int]:
        """Return all connections that there are."""
        return frozenset(link.number for link in self._links)

    def reset(self, *, subscribers_only: bool = False) -> None:
        """End the connections that there are."""
        for link, task in list(self._links.items()):
            if link.subscribed or not subscribers_only:
                task.cancel()

    def lead_to(self, url: str) -> None:
        """Have new connections lead to another server, and end those that there are, as a failover does."""
        self.target = address(url)
        self.reset()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        link = _Link(self, self.accepted)
        task = asyncio.current_task()
        assert task is not None
        self._links[link] = task
        with suppress(OSError, asyncio.CancelledError):
            await link.serve(reader, writer)
        del self._links[link]
        writer.transport.abort()


@dataclass(eq=False)
class _Link:
    """One client's connection, and ours to the server."""

    proxy: RedisProxy
    number: int
    subscribed: bool = False
    _pending: asyncio.Queue[_Pending] = field(default_factory=asyncio.Queue)
    _answers: asyncio.Queue[tuple[bytes, float]] = field(default_factory=asyncio.Queue)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what comes, until either side ends."""
        server_reader, server_writer = await asyncio.open_connection(*self.proxy.target)
        tasks = [
            asyncio.create_task(self._commands(reader, server_writer)),
            asyncio.create_task(self._receive(server_reader)),
            asyncio.create_task(self._reply(writer)),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            server_writer.transport.abort()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _commands(self, reader: asyncio.StreamReader, server: asyncio.StreamWriter) -> None:
        frames = Frames()
        while data := await reader.read(_READ_BYTES):
            for frame in frames.feed(data):
                command = Command(words(frame), self.number, time.monotonic())
                instead = await self.proxy.meddling.command(command)
                if not self.subscribed:
                    self._pending.put_nowait(_Pending(command, instead))
                self.subscribed = self.subscribed or (command.subscribes and instead is None)
                if instead is None:
                    server.write(frame)

    async def _receive(self, server: asyncio.StreamReader) -> None:
        frames = Frames()
        while data := await server.read(_READ_BYTES):
            for frame in frames.feed(data):
                self._answers.put_nowait((frame, time.monotonic()))

    async def _reply(self, writer: asyncio.StreamWriter) -> None:
        subscribed = False
        while not subscribed:
            pending = await self._pending.get()
            frame = (await self._answers.get())[0] if pending.instead is None else pending.instead
            await self.proxy.meddling.answer(pending.command)
            writer.write(frame)
            subscribed = pending.command.subscribes and pending.instead is None
        while True:
            frame, arrived = await self._answers.get()
            await self.proxy.meddling.push(Push(frame, self.number, arrived))
            writer.write(frame)


def address(url: str) -> Address:
    """Return where a URL leads."""
    parts = urlsplit(url)
    if parts.hostname is None or parts.port is None:
        raise ValueError("the URL must name a host and a port")
    return parts.hostname, parts.port
