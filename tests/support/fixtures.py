"""Fixtures: a database and a Redis database of each test's own, and servers that it may break."""

import asyncio
import logging
import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
import redis
from psycopg import sql

from tests.support.containers import NoContainerError, engine_answers, postgres_container, redis_container
from tests.support.nursery import Nursery
from tests.support.own_servers import POSTGRES_SETTINGS, OwnPostgres, OwnValkey, ServerRoom
from tests.support.processes import Programs, clean_environment

REDIS_DATABASES = 16


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Every async test runs on asyncio."""
    return "asyncio"


@pytest.fixture(scope="session")
def server_directory() -> Iterator[Path]:
    """A temporary directory that the account of Postgres can enter, unlike pytest's own."""
    directory = Path(tempfile.mkdtemp(prefix="anomaly-cache-tests-"))
    directory.chmod(0o711)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def docker_engine() -> bool:
    """Whether a Docker engine answers."""
    return engine_answers()


@pytest.fixture(scope="session")
def session_room(server_directory: Path) -> Iterator[ServerRoom]:
    """The servers that all tests of this process share."""
    directory = server_directory / "shared"
    directory.mkdir(mode=0o711)
    room = ServerRoom(directory)
    yield room
    room.close()


@pytest.fixture(scope="session")
def postgres_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A superuser's URL of the shared Postgres: TEST_DATABASE_URL, Docker's, or one of our own."""
    with ExitStack() as stack:
        url = os.environ.get("TEST_DATABASE_URL") or None
        if url is None and request.getfixturevalue("docker_engine"):
            url = _entered(stack, postgres_container(POSTGRES_SETTINGS))
        if url is None:
            room: ServerRoom = request.getfixturevalue("session_room")
            url = room.postgres().url
        yield url


@pytest.fixture(scope="session")
def shared_redis_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of the shared Redis: TEST_REDIS_URL, Docker's, or a Valkey of our own."""
    with ExitStack() as stack:
        url = os.environ.get("TEST_REDIS_URL") or None
        if url is None and request.getfixturevalue("docker_engine"):
            url = _entered(stack, redis_container())
        if url is None:
            room: ServerRoom = request.getfixturevalue("session_room")
            url = room.valkey().url
        yield url


@pytest.fixture
def database_url(postgres_url: str) -> Iterator[str]:
    """A new empty database; the URL's user is a superuser."""
    name = f"test_{uuid.uuid4().hex}"
    _create(postgres_url, name)
    yield _for_database(postgres_url, name)
    _drop(postgres_url, name)


@pytest.fixture(scope="session")
def migrated_template(postgres_url: str) -> Iterator[str]:
    """The name of a database with sql/ applied, to make copies of."""
    from anomaly_cache.migrate import migrate  # noqa: PLC0415 - not every test needs it

    name = f"template_{uuid.uuid4().hex}"
    _create(postgres_url, name)
    asyncio.run(migrate(_for_database(postgres_url, name)))
    yield name
    _drop(postgres_url, name)


@pytest.fixture
def migrated_url(postgres_url: str, migrated_template: str) -> Iterator[str]:
    """A new database with sql/ applied and no rows; the URL's user is a superuser."""
    name = f"test_{uuid.uuid4().hex}"
    _create(postgres_url, name, template=migrated_template)
    yield _for_database(postgres_url, name)
    _drop(postgres_url, name)


@pytest.fixture(scope="session")
def shared_migrated_url(postgres_url: str, migrated_template: str) -> Iterator[str]:
    """A database with sql/ applied that the tests of this process share."""
    name = f"test_{uuid.uuid4().hex}"
    _create(postgres_url, name, template=migrated_template)
    yield _for_database(postgres_url, name)
    _drop(postgres_url, name)


@pytest.fixture(scope="session")
def redis_databases(worker_id: str, testrun_workers: int) -> Iterator[int]:
    """Database numbers in turn; processes that share a server are given different ones."""
    own = int(worker_id.removeprefix("gw")) if worker_id.startswith("gw") else 0
    numbers = range(own % REDIS_DATABASES, REDIS_DATABASES, testrun_workers)

    def turn() -> Iterator[int]:
        while True:
            yield from numbers

    return turn()


@pytest.fixture(scope="session")
def testrun_workers() -> int:
    """How many processes run this test run."""
    return int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))


@pytest.fixture(scope="session")
def worker_id() -> str:
    """Which of them this one is: `gw0`, `gw1`, …, or `master`."""
    return os.environ.get("PYTEST_XDIST_WORKER", "master")


@pytest.fixture
def redis_url(shared_redis_url: str, redis_databases: Iterator[int]) -> Iterator[str]:
    """An empty Redis database that no other test uses meanwhile."""
    url = urlunsplit(urlsplit(shared_redis_url)._replace(path=f"/{next(redis_databases)}"))
    with redis.Redis.from_url(url) as client:
        client.flushdb()
        yield url
        client.flushdb()


@pytest.fixture
def cache_prefix() -> str:
    """A CACHE_PREFIX of the test's own: Redis' channels are shared by all its databases."""
    return f"test-{uuid.uuid4().hex[:12]}:"


@pytest.fixture
def own_room(server_directory: Path) -> Iterator[ServerRoom]:
    """Servers of this test's own, ended with it."""
    directory = server_directory / uuid.uuid4().hex[:12]
    directory.mkdir(mode=0o711)
    room = ServerRoom(directory)
    yield room
    room.close()
    shutil.rmtree(directory)


@pytest.fixture
def own_postgres(own_room: ServerRoom) -> Callable[..., OwnPostgres]:
    """Start a Postgres that the test may break: `own_postgres(setting="value")`."""
    return own_room.postgres


@pytest.fixture
def own_redis(own_room: ServerRoom) -> Callable[..., OwnValkey]:
    """Start a Valkey that the test may break: `own_redis(maxmemory="10mb")`."""
    return own_room.valkey


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery | None]:
    """What programs are forked from, where the system has all that it needs; see `tests.support.nursery`."""
    if sys.platform != "linux":
        yield None
        return
    forking = Nursery(clean_environment())
    yield forking
    forking.close()


@pytest.fixture
async def programs(tmp_path: Path, nursery: Nursery | None) -> AsyncIterator[Programs]:
    """Starts the real API and listener as child processes; ends them by SIGTERM, which must exit with 0."""
    started = Programs(tmp_path, nursery)
    yield started
    await started.close()


@pytest.fixture(scope="session")
async def shared_programs(tmp_path_factory: pytest.TempPathFactory, nursery: Nursery | None) -> AsyncIterator[Programs]:
    """As `programs`, for what the tests of this process share."""
    started = Programs(tmp_path_factory.mktemp("programs"), nursery)
    yield started
    await started.close()


def _entered(stack: ExitStack, container: AbstractContextManager[str]) -> str | None:
    """Run a container while the stack lasts; None where the engine has none for us, such as without a registry."""
    try:
        return stack.enter_context(container)
    except NoContainerError as error:
        logging.getLogger(__name__).warning("using a server of our own, for Docker has none: %s", error)
        return None


def _for_database(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def _create(url: str, name: str, template: str = "template1") -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        )


def _drop(url: str, name: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
