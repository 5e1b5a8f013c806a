"""docs/new-endpoint.md, done as it says: the endpoint answers, is cached, and hears of changes."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import httpx2
import psycopg
import pytest

from tests.acceptance.system import layer
from tests.integration.test_sql_roles import API_PASSWORD, LISTENER_PASSWORD
from tests.support.compose_file import ROOT
from tests.support.documents import DOCS, read
from tests.support.patches import apply
from tests.support.processes import ADMIN_KEY, Programs
from tests.support.waiting import eventually

PAGE = read(DOCS / "new-endpoint.md")


@pytest.fixture
def settings(migrated_url: str, redis_url: str, cache_prefix: str) -> dict[str, str]:
    """What the service and the listener are told."""
    return {"DATABASE_URL": migrated_url, "REDIS_URL": redis_url, "CACHE_PREFIX": cache_prefix}


@pytest.fixture
async def database(migrated_url: str) -> AsyncIterator[psycopg.AsyncConnection]:
    """A DBA's session."""
    async with await psycopg.AsyncConnection.connect(migrated_url, autocommit=True) as connection:
        yield connection


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
    (table,) = PAGE.section("a-new-endpoint-in-this-api", "sql")
    (target / "sql" / "040_cases.sql").write_text(table)
    diffs = PAGE.section("a-new-endpoint-in-this-api", "diff")
    assert len(diffs) == 3
    for diff in diffs:
        apply(diff, target)
    return target
