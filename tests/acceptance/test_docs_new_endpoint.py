"""docs/new-endpoint.md, done as it says: the code of the page runs, caches, and hears of changes."""

import shutil
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import httpx2
import psycopg
import pytest

from anomaly_cache.servers.ports import free_port
from tests.acceptance.system import layer
from tests.integration.test_sql_roles import API_PASSWORD, LISTENER_PASSWORD
from tests.support.compose_file import ROOT
from tests.support.documents import DOCS, read
from tests.support.patches import apply
from tests.support.processes import ADMIN_KEY, Program, Programs
from tests.support.waiting import eventually

PAGE = read(DOCS / "new-endpoint.md")
SHIP = """
from starlette.responses import PlainTextResponse


async def shipped(request: Request) -> Response:
    await ship(request.path_params["order"])
    return PlainTextResponse("shipped")


app.router.routes.append(Route("/ship/{order:int}", shipped, methods=["POST"]))
"""


@dataclass
class Shop:
    """Clients of the processes of the page's service, and a DBA."""

    clients: list[httpx2.AsyncClient]
    database: psycopg.AsyncConnection

    async def get(self, process: int, path: str) -> httpx2.Response:
        """GET from one of the processes."""
        response = await self.clients[process].get(path)
        assert response.status_code == httpx2.codes.OK, response.text
        return response

    async def answers_from(self, process: int, path: str, where: str) -> None:
        """Wait until a process answers from there: l1, l2 or db."""

        async def does() -> bool:
            return (await self.get(process, path)).headers["X-Layer"] == where

        await eventually(does)

    async def shows(self, process: int, path: str, item: str) -> None:
        """Wait until the first order that a process shows is of this item."""

        async def does() -> bool:
            return bool((await self.get(process, path)).json()[0]["item"] == item)

        await eventually(does)


OpenShop = Callable[..., Awaitable[Shop]]


@pytest.fixture
def settings(migrated_url: str, redis_url: str, cache_prefix: str) -> dict[str, str]:
    """What the service and the listener are told."""
    return {"DATABASE_URL": migrated_url, "REDIS_URL": redis_url, "CACHE_PREFIX": cache_prefix}


@pytest.fixture
async def database(migrated_url: str) -> AsyncIterator[psycopg.AsyncConnection]:
    """A DBA's session."""
    async with await psycopg.AsyncConnection.connect(migrated_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
async def open_shop(
    programs: Programs, settings: dict[str, str], database: psycopg.AsyncConnection, tmp_path: Path
) -> AsyncIterator[OpenShop]:
    """Starts a listener and the page's service, a process a module: `shop`, or `scoped`, whose queries have scopes."""
    (table,) = PAGE.section("in-your-own-service", "sql")
    (source,) = PAGE.section("in-your-own-service", "python")
    (scope,) = PAGE.section("which-answers-does-a-change-drop", "python")
    (ship,) = PAGE.section("how-does-a-writer-read-its-own-change", "python")
    by_scope = source.replace('Query("orders", {"customer": customer})', "orders_of(customer)")
    assert by_scope != source
    (tmp_path / "shop.py").write_text(source + ship + SHIP)
    (tmp_path / "scoped.py").write_text(by_scope.replace("\npool =", f"\n{scope}\npool ="))
    await database.execute(table.encode())
    await database.execute("INSERT INTO orders (customer, item) VALUES ('ann', 'pen'), ('bob', 'ink')")
    await programs.listener(wait=True, **settings)
    started: list[Program] = []
    clients: list[httpx2.AsyncClient] = []

    async def start(*modules: str) -> Shop:
        started.extend([await _serve(programs, module, settings) for module in modules])
        clients.extend(process.client() for process in started)
        shop = Shop(clients, database)
        for number, process in enumerate(started):
            await process.ready("/orders/nobody")
            await shop.answers_from(number, "/orders/nobody", "l1")
        return shop

    try:
        yield start
        for client, process in zip(clients, started, strict=True):
            await client.aclose()
            process.child.send(signal.SIGTERM)
            assert await process.ended() in {0, -signal.SIGTERM}, process.child.last_lines(20)
    finally:
        for process in started:
            process.kill()


async def _serve(programs: Programs, module: str, settings: dict[str, str]) -> Program:
    """Start the page's command, for another module and on a free port."""
    (command,) = PAGE.section("in-your-own-service", "sh")
    port = free_port()
    program, *arguments = command.replace("shop:app", f"{module}:app").replace("8010", str(port)).split()
    return await programs.run(program, *arguments, port=port, settings=settings, wait=False)


async def test_a_service_of_ones_own(open_shop: OpenShop) -> None:
    """A miss, a hit, a hit from Redis; an UPDATE in psql reaches both processes; an announced change does at once."""
    shop = await open_shop("shop", "shop")
    assert [(await shop.get(0, "/orders/ann")).headers["X-Layer"] for _ in range(2)] == ["db", "l1"]
    assert (await shop.get(1, "/orders/ann")).headers["X-Layer"] == "l2"
    await shop.database.execute("UPDATE orders SET item = 'book' WHERE customer = 'ann'")
    for process in (0, 1):
        await shop.shows(process, "/orders/ann", "book")
        await shop.answers_from(process, "/orders/ann", "l1")
    assert (await shop.clients[0].post("/ship/1")).status_code == httpx2.codes.OK
    for process in (1, 0):
        assert (await shop.get(process, "/orders/ann")).json()[0]["shipped"] is True


async def test_a_change_spares_what_it_cannot_change(open_shop: OpenShop) -> None:
    """With the columns watched and a scope declared, Ann's answer outlives a change of Bob's order."""
    shop = await open_shop("scoped")
    (watch,) = PAGE.section("which-answers-does-a-change-drop", "sql")
    await shop.database.execute(watch.encode())
    items = (f"quill {number}" for number in count())

    async def spared() -> bool:
        # The listener finds that the triggers are new, and has the namespace dropped once more.
        await shop.answers_from(0, "/orders/ann", "l1")
        item = next(items)
        await shop.database.execute("UPDATE orders SET item = %s WHERE customer = 'bob'", [item])
        await shop.shows(0, "/orders/bob", item)
        return (await shop.get(0, "/orders/ann")).headers["X-Layer"] == "l1"

    await eventually(spared)
    await shop.database.execute("UPDATE orders SET item = 'book' WHERE customer = 'ann'")
    await shop.shows(0, "/orders/ann", "book")


async def test_an_endpoint_of_this_api(
    programs: Programs, settings: dict[str, str], database: psycopg.AsyncConnection, tmp_path: Path
) -> None:
    """With the page's changes made, `migrate` prepares the table and the API, as its role, caches and hears."""
    source = _changed_copy(tmp_path / "source")
    settings = {**settings, "PYTHONPATH": str(source)}
    passwords = {"API_DB_PASSWORD": API_PASSWORD, "LISTENER_DB_PASSWORD": LISTENER_PASSWORD}
    migration = await programs.run("anomaly_cache", "migrate", port=0, settings={**settings, **passwords}, wait=False)
    assert await migration.ended() == 0, migration.child.last_lines(20)
    await database.execute("INSERT INTO cases (case_id, state) VALUES ('c1', 'OPEN'), ('c2', 'CLOSED')")
    await programs.listener(wait=True, **settings)
    parts = urlsplit(settings["DATABASE_URL"])
    as_role = urlunsplit(parts._replace(netloc=f"anomaly_api@{parts.hostname}:{parts.port}"))
    api = await programs.api(wait=True, **{**settings, "DATABASE_URL": as_role, "PGPASSWORD": API_PASSWORD})
    async with api.client() as client, api.client(ADMIN_KEY) as admin:
        path = "/api/v1/cases?state=OPEN"

        async def hit() -> bool:
            return layer(await client.get(path)) == "l1"

        async def shown() -> list[str]:
            return [case["case_id"] for case in (await client.get(path)).json()["cases"]]

        await eventually(hit)
        assert await shown() == ["c1"]
        await database.execute("UPDATE cases SET state = 'OPEN' WHERE case_id = 'c2'")

        async def both() -> bool:
            return set(await shown()) == {"c1", "c2"}

        await eventually(both)
        assert (await client.get("/api/v1/cases?state=LOST")).status_code == httpx2.codes.UNPROCESSABLE_CONTENT
        assert 'cache_hits_total{cache_key_type="cases"}' in (await client.get("/metrics")).text
        invalidated = await admin.post("/api/v1/cache/invalidate", json={"namespace": "cases"})
        assert invalidated.status_code == httpx2.codes.OK, invalidated.text


def _changed_copy(target: Path) -> Path:
    """Return a copy of the packages, changed as the page says."""
    for package in ("anomaly_cache", "coherence", "listener", "service", "sql"):
        shutil.copytree(ROOT / package, target / package, ignore=shutil.ignore_patterns("__pycache__"))
    (table,) = PAGE.section("in-this-api", "sql")
    (target / "sql" / "040_cases.sql").write_text(table)
    diffs = PAGE.section("in-this-api", "diff")
    assert len(diffs) == 3
    for diff in diffs:
        apply(diff, target)
    return target
