"""Every command and block of code of the documentation, run as a reader would, beside a real demo."""

import json
import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from redis.asyncio import Redis

from anomaly_cache.servers.ports import free_port
from tests.acceptance.system import psql_binary
from tests.support.demos import RunningDemo, shell
from tests.support.documents import PAGES, read
from tests.support.page_shell import PageShell
from tests.support.processes import clean_environment
from tests.support.steps import name_of, steps_of
from tests.support.tools import tool

PORTS = {"8000": "API", "8001": "API2", "8081": "LISTENER"}
TABLE = "CREATE TABLE events (at date NOT NULL) PARTITION BY RANGE (at)"
"""One that the readers have besides."""


@pytest.fixture
async def demo(server_directory: Path, tmp_path: Path) -> AsyncIterator[RunningDemo]:
    """The demo, for all pages."""
    made = RunningDemo(server_directory / "docs-demo", "--port", str(free_port()), log=tmp_path / "demo.log")
    await made.start()
    yield made
    assert await made.stop() == 0


async def environment_of(demo: RunningDemo) -> dict[str, str]:
    """Return what a reader's shell has who has read the demo's variables, and knows its passwords."""
    said = await shell(f". {demo.state}/env && env -0")
    variables = dict(line.split("=", 1) for line in said.split("\0") if line)
    passwords = json.loads((demo.state / "state.json").read_text())
    return {
        **{name: variables[name] for name in variables.keys() - clean_environment().keys()},
        "PATH": f"{variables['PATH']}:{Path(psql_binary()).parent}",
        "OWNER_DATABASE_URL": re.sub(r"//.*@", f"//postgres:{passwords['postgres']}@", variables["DATABASE_URL"]),
        "REDIS_TIMEOUT_MS": "2000",  # a busy machine is no fault
        "API_DB_PASSWORD": passwords["api"],
        "LISTENER_DB_PASSWORD": passwords["listener"],
        "REDIS_PASSWORD": passwords["redis"],
        "VALKEY_PORT": str(urlsplit(variables["REDIS_URL"]).port),
    }


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
    variables = await environment_of(demo)
    await prepare(demo, variables)
    ports = {port: variables[name].rpartition(":")[2] for port, name in PORTS.items()}
    for page in PAGES:
        with subtests.test(page=name_of(page)):
            steps = steps_of(read(page))
            if not steps:
                continue
            directory = tmp_path / name_of(page).replace("/", "-")
            directory.mkdir()
            async with PageShell(directory, demo.state, variables, ports) as reader:
                for step in steps:
                    await reader.do(step)
