"""Fixtures of the integration tests."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx2
import pytest

from tests.support.api import ADMIN_KEY, Api, caching, fill, settings_for
from tests.support.coherences import Deployment, Replica, Vouching


@pytest.fixture
async def filled_url(migrated_url: str) -> str:
    """A database with 30 anomalies and transactions."""
    await fill(migrated_url)
    return migrated_url


@pytest.fixture
async def api(filled_url: str, redis_url: str, cache_prefix: str) -> AsyncIterator[Api]:
    """The API in this process, caching, on a database of 30 rows."""
    async with caching(settings_for(filled_url, redis_url, cache_prefix)) as api:
        yield api


@pytest.fixture
async def analyst(api: Api) -> AsyncIterator[httpx2.AsyncClient]:
    """A client with an analyst's key."""
    async with api.client() as client:
        yield client


@pytest.fixture
async def admin(api: Api) -> AsyncIterator[httpx2.AsyncClient]:
    """A client with an admin's key."""
    async with api.client(ADMIN_KEY) as client:
        yield client


@pytest.fixture
def environment(filled_url: str, redis_url: str, cache_prefix: str) -> dict[str, str]:
    """The environment of an API process on a database of 30 rows; it need not wait for a lease."""
    return {
        "DATABASE_URL": filled_url,
        "REDIS_URL": redis_url,
        "CACHE_PREFIX": cache_prefix,
        "CACHE_MAX_STALENESS_SECONDS": "0.5",
        "WARM_QUERIES": "none",
    }


@pytest.fixture
def deployment(redis_url: str, cache_prefix: str) -> Deployment:
    """A deployment of caches, without API, in the shared Redis."""
    return Deployment(redis_url, cache_prefix)


@pytest.fixture
async def listener(deployment: Deployment) -> AsyncIterator[Vouching]:
    """The test's part as the deployment's listener, renewing in the background."""
    async with deployment.listener() as listener, listener.vouching():
        yield listener


@pytest.fixture
async def replicas(deployment: Deployment, listener: Vouching) -> AsyncIterator[list[Replica]]:
    """Two processes of the deployment, which cache."""
    del listener
    async with AsyncExitStack() as stack:
        started = [await stack.enter_async_context(deployment.replica()) for _ in range(2)]
        for replica in started:
            await replica.caching()
        yield started
