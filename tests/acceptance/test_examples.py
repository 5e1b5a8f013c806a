"""examples/: a service of one's own, in FastAPI and in Starlette, over one table, one Redis and one listener."""

import os
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import count

import httpx2
import psycopg
import pytest

from anomaly_cache.servers.ports import free_port
from tests.support.compose_file import ROOT
from tests.support.processes import Program, Programs
from tests.support.waiting import eventually

EXAMPLES = ROOT / "examples"
APPS = ("fastapi_orders", "starlette_orders")
ANN, BOB = (f"/customers/{name}/orders" for name in ("ann", "bob"))


@dataclass
class Shop:
    """A client of each of the processes, and a DBA."""

    clients: list[httpx2.AsyncClient]
    database: psycopg.AsyncConnection

    async def get(self, process: int, path: str) -> httpx2.Response:
        """GET from one of the processes."""
        response = await self.clients[process].get(path)
        assert response.status_code == httpx2.codes.OK, response.text
        return response

    async def layer(self, process: int, path: str) -> str:
        """Return where the answer of a process was: l1, l2 or db."""
        return (await self.get(process, path)).headers["X-Cache"]

    async def shows(self, process: int, path: str, item: str) -> None:
        """Wait until the first order that a process shows is of this item."""

        async def does() -> bool:
            return bool((await self.get(process, path)).json()[0]["item"] == item)

        await eventually(does)

    async def hits(self, process: int, path: str) -> None:
        """Wait until a process answers from its own memory."""

        async def does() -> bool:
            return await self.layer(process, path) == "l1"

        await eventually(does)


@pytest.fixture
async def shop(programs: Programs, migrated_url: str, redis_url: str, cache_prefix: str) -> AsyncIterator[Shop]:
    """Both examples and a listener, caching."""
    settings = {"DATABASE_URL": migrated_url, "REDIS_URL": redis_url, "CACHE_PREFIX": cache_prefix}
    async with await psycopg.AsyncConnection.connect(migrated_url, autocommit=True) as database:
        await database.execute((EXAMPLES / "orders.sql").read_bytes())
        await programs.listener(wait=True, **settings)
        processes = [await serve(programs, app, settings) for app in APPS]
        shop = Shop([process.client() for process in processes], database)
        for number, process in enumerate(processes):
            await process.ready("/customers/nobody/orders")
            await shop.hits(number, "/customers/nobody/orders")
        yield shop
        for client, process in zip(shop.clients, processes, strict=True):
            await client.aclose()
            process.child.send(signal.SIGTERM)
            assert await process.ended() in {0, -signal.SIGTERM}, process.child.last_lines(20)


async def serve(programs: Programs, app: str, settings: dict[str, str]) -> Program:
    """Start an example as its page says."""
    port = free_port()
    arguments = ("--app-dir", str(EXAMPLES), f"{app}:app", "--port", str(port))
    # FastAPI brings OpenTelemetry's API along, which other programs here are run without.
    settings = {**settings, "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    return await programs.run("uvicorn", *arguments, port=port, settings=settings, wait=False)


async def test_a_service_of_ones_own(shop: Shop) -> None:
    """Two processes share answers; an UPDATE or a POST reaches both, and spares what it cannot change."""
    assert [await shop.layer(0, ANN) for _ in range(2)] == ["db", "l1"]
    assert await shop.layer(1, ANN) == "l2"
    items = (f"quill {number}" for number in count())

    async def spared() -> bool:
        # The listener finds that the triggers are new, and has the namespace dropped once more.
        await shop.hits(0, ANN)
        item = next(items)
        await shop.database.execute("UPDATE orders SET item = %s WHERE customer = 'bob'", [item])
        for process in (0, 1):
            await shop.shows(process, BOB, item)
        return await shop.layer(0, ANN) == "l1"

    await eventually(spared)
    await shop.database.execute("UPDATE orders SET item = 'book' WHERE item = 'pen'")
    for process in (0, 1):
        await shop.shows(process, ANN, "book")
        await shop.hits(process, ANN)
    assert (await shop.clients[0].post("/orders/1/ship")).status_code == httpx2.codes.NO_CONTENT
    for process in (1, 0):
        assert (await shop.get(process, ANN)).json()[0]["shipped"] is True
