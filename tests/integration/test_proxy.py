"""The proxy makes the faults that it is asked for."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from tests.support.proxy import Proxy


@pytest.fixture
async def echo_url() -> AsyncIterator[str]:
    """A server that sends back what it gets."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionResetError):
            while data := await reader.read(1024):
                writer.write(data)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    yield f"tcp://user:secret@127.0.0.1:{server.sockets[0].getsockname()[1]}/path"
    server.close()


async def connect(proxy: Proxy) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a connection through the proxy."""
    return await asyncio.open_connection("127.0.0.1", proxy.port)


async def said_back(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, text: bytes) -> bytes:
    """Send a text and return what comes back."""
    writer.write(text)
    return await reader.readexactly(len(text))


async def test_bytes_pass_and_the_url_keeps_its_credentials(echo_url: str) -> None:
    """Without a fault it is a plain proxy."""
    async with Proxy(echo_url) as proxy:
        assert proxy.url == f"tcp://user:secret@127.0.0.1:{proxy.port}/path"
        reader, writer = await connect(proxy)
        assert await said_back(reader, writer, b"hello") == b"hello"
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()


async def test_latency_is_added_each_way(echo_url: str) -> None:
    """0.1 s each way makes a round trip of at least 0.2 s."""
    async with Proxy(echo_url, latency=0.1) as proxy:
        reader, writer = await connect(proxy)
        began = time.monotonic()
        await said_back(reader, writer, b"hello")
        assert 0.2 <= time.monotonic() - began < 1.0
        writer.close()


async def test_a_stall_is_silent_and_ends(echo_url: str) -> None:
    """A stalled connection stays open and says nothing; what was held back comes afterwards."""
    async with Proxy(echo_url) as proxy:
        reader, writer = await connect(proxy)
        await said_back(reader, writer, b"before")
        proxy.stall()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(said_back(reader, writer, b"during"), 0.1)
        proxy.resume()
        assert await asyncio.wait_for(reader.readexactly(6), 1) == b"during"
        writer.close()


async def test_a_half_open_connection_is_silent(echo_url: str) -> None:
    """Its server is gone, and its client is not told; a new one works."""
    async with Proxy(echo_url) as proxy:
        reader, writer = await connect(proxy)
        await said_back(reader, writer, b"before")
        proxy.half_open()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(said_back(reader, writer, b"after"), 0.1)
        another, its_writer = await connect(proxy)
        assert await said_back(another, its_writer, b"anew") == b"anew"
        writer.close()
        its_writer.close()


async def test_refusal_and_reset_are_seen_as_such(echo_url: str) -> None:
    """A refusing proxy resets its connections and takes no new ones until it accepts again."""
    async with Proxy(echo_url) as proxy:
        reader, writer = await connect(proxy)
        await said_back(reader, writer, b"before")
        proxy.refuse()
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(reader.read(1), 1)
        writer.close()
        with pytest.raises(ConnectionRefusedError):
            await connect(proxy)
        await proxy.accept()
        reader, writer = await connect(proxy)
        assert await said_back(reader, writer, b"after") == b"after"
        writer.close()
        assert proxy.connections == 2
