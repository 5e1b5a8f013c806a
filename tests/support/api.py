"""The API in the test's own process, on real servers."""

import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import psycopg
from starlette.applications import Starlette

from service.app import create_app
from service.settings import ServiceSettings
from tests.support.lease import leased
from tests.support.processes import clean_environment
from tests.support.waiting import eventually

ANALYST_KEY = "analyst-key-for-tests"
ADMIN_KEY = "admin-key-for-tests-0"
KEYS = f"analyst={ANALYST_KEY},admin={ADMIN_KEY}"
ANOMALIES = "/api/v1/anomalies"


class Api:
    """A running application, and clients of it."""

    def __init__(self, app: Starlette, settings: ServiceSettings) -> None:
        self.app = app
        self.settings = settings
        self.failures = 0

    @asynccontextmanager
    async def client(self, key: str | None = ANALYST_KEY) -> AsyncIterator[httpx2.AsyncClient]:
        """Talk to it with an API key (None: without)."""
        headers = {} if key is None else {"X-API-Key": key}
        transport = httpx2.ASGITransport(app=self.app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://api", headers=headers) as client:
            yield client


def settings_for(database_url: str, redis_url: str, prefix: str = "", **more: object) -> ServiceSettings:
    """Return settings that come from nowhere but here."""
    given = {"database_url": database_url, "redis_url": redis_url, "cache_prefix": prefix, "api_keys": KEYS, **more}
    return ServiceSettings.model_validate(given)


@asynccontextmanager
async def running(settings: ServiceSettings) -> AsyncIterator[Api]:
    """Run the application, without a lease."""

    def fail() -> None:
        api.failures += 1

    api = Api(create_app(settings, on_failure=fail), settings)
    async with api.app.router.lifespan_context(api.app):
        yield api


@asynccontextmanager
async def leased_api(settings: ServiceSettings) -> AsyncIterator[Api]:
    """Run the application, with a lease."""
    async with leased(settings), running(settings) as api:
        yield api


@asynccontextmanager
async def caching(settings: ServiceSettings) -> AsyncIterator[Api]:
    """Run the application, with a lease, and wait until it caches."""
    async with leased_api(settings) as api, api.client() as client:

        async def ready() -> bool:
            return bool((await client.get("/readyz")).json()["status"] == "ready")

        await eventually(ready)
        yield api


def status_of(response: httpx2.Response) -> str:
    """Return what the Cache-Status says after the cache's name, without the TTL."""
    return re.sub(r"ttl=\d+; ", "", response.headers["cache-status"].removeprefix("anomaly-cache; "))


def metric(exposition: str, sample: str) -> float:
    """Return a sample, given as its name with its labels; 0 where it is not there."""
    found = re.search(rf"^{re.escape(sample)} (\S+)$", exposition, re.MULTILINE)
    return float(found.group(1)) if found else 0.0


async def fill(database_url: str, rows: int = 30) -> None:
    """Put anomalies and transactions into a migrated database: `a-0000` is the oldest, every third is acc-0's."""
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        await connection.execute(
            """
            INSERT INTO anomalies (transaction_id, account_id, amount, currency, score, status, reason, detected_at)
            SELECT 'a-' || lpad(i::text, 4, '0'), 'acc-' || mod(i, 3), i + 0.5, 'EUR', i / 100.0,
                   CASE WHEN mod(i, 2) = 0 THEN 'NEW' ELSE 'INVESTIGATING' END, NULL,
                   timestamptz '2025-01-01 12:00:00+02' + i * interval '1 minute'
            FROM generate_series(0, %(rows)s - 1) AS i
            """,
            {"rows": rows},
        )
        await connection.execute(
            """
            INSERT INTO transactions (transaction_id, account_id, amount, currency, merchant, channel, occurred_at)
            SELECT transaction_id, account_id, amount, currency, 'm', 'card', detected_at FROM anomalies
            """
        )


def run_to_end(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `python` with these arguments to its end, with no settings but these."""
    root = Path(__file__).parents[2]
    return subprocess.run(
        [sys.executable, *arguments],
        env={**clean_environment(), **variables, "PYTHONPATH": str(root)},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
