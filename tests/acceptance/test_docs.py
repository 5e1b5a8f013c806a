"""Every command and block of code of the documentation, run as a reader would, beside a real demo."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
from redis.asyncio import Redis

from anomaly_cache.servers.ports import free_port
from tests.support.demos import RunningDemo, shell
from tests.support.documents import PAGES, read
from tests.support.page_shell import PageShell, linked_checkout
from tests.support.reader import ports_of, readers_environment
from tests.support.steps import name_of, steps_of
from tests.support.tools import tool

TABLE = "CREATE TABLE events (at date NOT NULL) PARTITION BY RANGE (at)"
"""One that the readers have besides."""


@pytest.fixture
async def demo(server_directory: Path, tmp_path: Path) -> AsyncIterator[RunningDemo]:
    """The demo, for all pages."""
    made = RunningDemo(server_directory / "docs-demo", "--port", str(free_port()), log=tmp_path / "demo.log")
    await made.start()
    yield made
    assert await made.stop() == 0


async def prepare(demo: RunningDemo, variables: Mapping[str, str]) -> None:
    """Have what the runbooks look for: a table, and a damaged entry that a replica has met."""
    await shell(f"{demo.state}/psql --quiet -c '{TABLE}'")
    ask = f"curl -s -H 'X-API-Key: {variables['KEY']}' '{{}}/api/v1/anomalies?limit=3'"
    await shell(ask.format(variables["API"]))
    async with Redis.from_url(variables["REDIS_URL"]) as redis:
        for key in await redis.keys("anomalies:*"):
            await redis.setrange(key, 100, "damage")
    await shell(ask.format(variables["API2"]))


@pytest.mark.timeout(600)
async def test_every_block_of_every_page(demo: RunningDemo, tmp_path: Path, subtests: pytest.Subtests) -> None:
    """Pasted one after the other, a page's blocks succeed, and print what the page shows; … may be anything."""
    tool("redis-cli")
    variables = await readers_environment(demo.state)
    await prepare(demo, variables)
    ports = ports_of(variables)
    for page in PAGES:
        with subtests.test(page=name_of(page)):
            steps = steps_of(read(page))
            if not steps:
                continue
            directory = linked_checkout(tmp_path / name_of(page).replace("/", "-"), demo.state)
            async with PageShell(directory, variables, ports) as reader:
                for step in steps:
                    await reader.do(step)
