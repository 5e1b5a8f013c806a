"""Apply the files of sql/ to a database."""

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.resources import files

import psycopg

from anomaly_cache.admin import transaction

SCRIPTS = files("sql")
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('anomaly-cache migrate', 0))"
# Another migration may take its time. A table's writers queue up behind a trigger that waits for its turn.
OTHER_MIGRATION_SECONDS = 120
TABLE_LOCK_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Roles:
    """Make the roles anomaly_api and anomaly_listener; those given a password may log in."""

    api_password: str | None = field(default=None, repr=False)
    listener_password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class WatchedTable:
    """A table whose changes are announced, or the reason why they are not."""

    name: str
    namespace: str
    problem: str | None


def scripts(folder: str = "") -> list[str]:
    """Return the names of the SQL files in `sql/` or a folder of it, in the order in which they are applied."""
    directory = SCRIPTS / folder if folder else SCRIPTS
    names = sorted(file.name for file in directory.iterdir() if file.name.endswith(".sql"))
    return [f"{folder}/{name}" if folder else name for name in names]


async def migrate(
    url: str, *, roles: Roles | None = None, report: Callable[[str], None] = lambda _: None
) -> list[WatchedTable]:
    """Apply every file of sql/ to the database of `url`, all or none, and return the tables that are watched then.

    May be repeated at any time, and run by several processes at once. `report` is told each file that was applied.
    Raises AdminError.
    """
    async with transaction(url, application="anomaly-cache migrate") as connection:
        await connection.execute("SET LOCAL client_min_messages = warning")
        await connection.execute(f"SET LOCAL lock_timeout = '{OTHER_MIGRATION_SECONDS}s'")
        await connection.execute(LOCK)
        await connection.execute(f"SET LOCAL lock_timeout = '{TABLE_LOCK_SECONDS}s'")
        for name in scripts():
            await _apply(connection, name)
            report(name)
        if roles is not None:
            await connection.execute(
                "SELECT set_config('anomaly_cache.api_password', %s, true),"
                " set_config('anomaly_cache.listener_password', %s, true)",
                [roles.api_password or "", roles.listener_password or ""],
            )
            for name in scripts("roles"):
                await _apply(connection, name)
                report(name)
        cursor = await connection.execute("SELECT table_name, namespace, problem FROM coherence.watched ORDER BY 1, 2")
        return [WatchedTable(*row) for row in await cursor.fetchall()]


async def _apply(connection: psycopg.AsyncConnection, name: str) -> None:
    try:
        await connection.execute((SCRIPTS / name).read_bytes())
    except psycopg.Error as error:
        error.add_note(f"(in sql/{name})")
        raise
