"""The demo's database: created, migrated, with its two roles and its rows."""

import psycopg
from psycopg import sql

from anomaly_cache.admin import AdminError, one_line, transaction
from anomaly_cache.demo.errors import DemoError
from anomaly_cache.demo.state import Secrets
from anomaly_cache.migrate import Roles, migrate
from anomaly_cache.progress import Progress
from anomaly_cache.seed import seed
from anomaly_cache.servers.postgres import Postgres

NAME = "anomalies"
API_ROLE, LISTENER_ROLE = "anomaly_api", "anomaly_listener"
NEWEST = "SELECT transaction_id FROM anomalies WHERE status = 'NEW' ORDER BY detected_at DESC, transaction_id LIMIT 1"


async def prepare(postgres: Postgres, secrets: Secrets, rows: int) -> None:
    """Make the database what the demo needs; what an earlier run did stays.

    Raises AdminError where Postgres refuses, such as a password that is not the one it was made with.
    """
    await _create(postgres)
    url = postgres.url_for(NAME)
    watched = await migrate(url, roles=Roles(secrets.api, secrets.listener))
    problems = "; ".join(f"{table.name}: {table.problem}" for table in watched if table.problem)
    if problems:
        raise DemoError(f"{problems}. Start over with --fresh.")
    with Progress(rows, "anomalies") as progress:
        await seed(url, rows=rows, report=progress.advance)


async def newest_transaction(postgres: Postgres) -> str:
    """Return the newest anomaly that nobody has looked at; raises DemoError if there is none."""
    async with transaction(postgres.url_for(NAME), application="anomaly-cache demo") as connection:
        row = await (await connection.execute(NEWEST)).fetchone()
    if row is None:
        raise DemoError("every anomaly has been looked at: start over with --fresh")
    return str(row[0])


async def _create(postgres: Postgres) -> None:
    try:
        connection = await psycopg.AsyncConnection.connect(postgres.url, autocommit=True)
        async with connection:
            found = await connection.execute("SELECT FROM pg_database WHERE datname = %s", [NAME])
            if await found.fetchone() is None:
                await connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(NAME)))
    except psycopg.Error as error:
        raise AdminError(f"the demo's Postgres: {one_line(error)}") from error
