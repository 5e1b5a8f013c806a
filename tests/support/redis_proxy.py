"""A proxy that speaks Redis' protocol, and so can meddle with single commands, answers and pushed messages."""

import asyncio
import socket
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit, urlunsplit

from coherence.tasks import end
from tests.support.proxy import last_turns, stop_listening
from tests.support.resp import Frames, words

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

    async def command(self, command: Command) -> None:
        """See `command` off."""

    async def answer(self, command: Command) -> None:
        """See the answer to `command` off."""

    async def push(self, push: Push) -> None:
        """See a pushed message off."""


class RedisProxy:
    """Stands between clients and the Redis of a URL; `async with` runs it, `proxy.url` goes through it.

    `meddling` is what befalls what passes, `target` where new connections lead to; both may change at any time.
    """

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)
        if self._parts.hostname is None or self._parts.port is None:
            raise ValueError("the URL must name a host and a port")
        self.target = (self._parts.hostname, self._parts.port)
        self.meddling = Meddling()
        self.port = 0
        self.accepted = 0
        self._listening: socket.socket | None = None
        self._links: dict[_Link, asyncio.Task[None]] = {}

    @property
    def url(self) -> str:
        """The server's URL with this proxy's address in it."""
        credentials, at, _ = self._parts.netloc.rpartition("@")
        return urlunsplit(self._parts._replace(netloc=f"{credentials}{at}127.0.0.1:{self.port}"))

    async def __aenter__(self) -> Self:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        await asyncio.start_server(self._accept, sock=self._listening)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._listening is not None
        stop_listening(self._listening)
        self._listening = None
        await last_turns()
        await end(*self._links.values())
        await last_turns()

    def subscribers(self) -> frozenset[int]:
        """Return the connections that have subscribed."""
        return frozenset(link.number for link in self._links if link.subscribed)

    def reset(self) -> None:
        """End all connections; new ones are taken."""
        for task in self._links.values():
            task.cancel()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        link = _Link(self, self.accepted)
        task = asyncio.current_task()
        assert task is not None
        self._links[link] = task
        try:
            if self._listening is not None:  # else it was on its way when the proxy ended
                with suppress(OSError, asyncio.CancelledError):
                    await link.serve(reader, writer)
        finally:
            del self._links[link]
            writer.transport.abort()


@dataclass(eq=False)
class _Link:
    """One client's connection, and ours to the server."""

    proxy: RedisProxy
    number: int
    subscribed: bool = False
    _pending: asyncio.Queue[Command] = field(default_factory=asyncio.Queue)
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
                await self.proxy.meddling.command(command)
                if not self.subscribed:
                    self._pending.put_nowait(command)
                self.subscribed = self.subscribed or command.subscribes
                server.write(frame)

    async def _receive(self, server: asyncio.StreamReader) -> None:
        frames = Frames()
        while data := await server.read(_READ_BYTES):
            for frame in frames.feed(data):
                self._answers.put_nowait((frame, time.monotonic()))

    async def _reply(self, writer: asyncio.StreamWriter) -> None:
        subscribed = False
        while not subscribed:
            command = await self._pending.get()
            frame, _ = await self._answers.get()
            await self.proxy.meddling.answer(command)
            writer.write(frame)
            subscribed = command.subscribes
        while True:
            frame, arrived = await self._answers.get()
            await self.proxy.meddling.push(Push(frame, self.number, arrived))
            writer.write(frame)
