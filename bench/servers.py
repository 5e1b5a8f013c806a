"""A Postgres and a Valkey of the measurement's own, in a directory that does not outlive them."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

from anomaly_cache.demo.servers import Servers
from anomaly_cache.migrate import Roles, migrate
from anomaly_cache.seed import seed
from anomaly_cache.servers.account import server_account
from anomaly_cache.servers.binaries import find_postgres, find_valkey
from anomaly_cache.servers.ports import free_port
from anomaly_cache.servers.postgres import Postgres
from anomaly_cache.servers.reach import usable
from anomaly_cache.servers.valkey import Valkey

ROLE_PASSWORD = "bench"  # noqa: S105 - of a server that lives for minutes, on the loopback interface
TEMPLATE = "seeded"


@contextmanager
def running(settings: Mapping[str, str], redis: Mapping[str, str] | None = None) -> Iterator[Servers]:
    """Start both servers, each with these settings beside its defaults, and end them. Raises ServerError."""
    with tempfile.TemporaryDirectory(prefix="anomaly-cache-bench-") as name:
        directory = Path(name)
        directory.chmod(0o711)  # Postgres' account has to pass through
        home = directory / "postgres"
        home.mkdir(mode=0o711)
        account = server_account()
        postgres = Postgres(
            home,
            binaries=usable(find_postgres(), account, directory),
            port=free_port(),
            account=account,
            settings={"max_connections": "200", **settings},
        )
        valkey = Valkey(directory / "valkey", binary=find_valkey(), port=free_port(), settings=redis)
        servers = Servers(postgres, valkey)
        try:
            servers.start()
            yield servers
        finally:
            servers.stop()


async def prepare(postgres: Postgres, rows: int) -> None:
    """Make the database `seeded`, with this many anomalies, to be copied or used. Raises AdminError."""
    await _command(postgres, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(TEMPLATE)))
    url = postgres.url_for(TEMPLATE)
    await migrate(url, roles=Roles(ROLE_PASSWORD, ROLE_PASSWORD))
    await seed(url, rows=rows)
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute("VACUUM ANALYZE")


async def copy(postgres: Postgres, name: str) -> None:
    """Make the database `name` as a copy of `seeded`, which nobody may be connected to."""
    names = [sql.Identifier(each) for each in (name, TEMPLATE)]
    await _command(postgres, sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(*names))


async def drop(postgres: Postgres, name: str) -> None:
    """Drop a database, whoever is connected to it."""
    await _command(postgres, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


async def _command(postgres: Postgres, command: sql.Composed) -> None:
    async with await psycopg.AsyncConnection.connect(postgres.url, autocommit=True) as connection:
        await connection.execute(command)
