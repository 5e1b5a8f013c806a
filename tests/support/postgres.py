"""Small things that tests do with Postgres."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg.rows import DictRow, dict_row


async def one(connection: psycopg.AsyncConnection, query: str, parameters: Sequence[object] | None = None) -> Any:
    """Return the single value of a query's only row."""
    row = await (await connection.execute(query.encode(), parameters)).fetchone()
    assert row is not None
    return row[0]


async def watched(connection: psycopg.AsyncConnection) -> dict[str, DictRow]:
    """Return the rows of coherence.watched by table and namespace, as `public.items items`."""
    cursor = connection.cursor(row_factory=dict_row)
    await cursor.execute("SELECT * FROM coherence.watched")
    return {f"{row['table_name']} {row['namespace']}": row for row in await cursor.fetchall()}


def as_user(url: str, user: str, password: str | None = None) -> str:
    """Return `url` with another user."""
    parts = urlsplit(url)
    login = user if password is None else f"{user}:{password}"
    return urlunsplit(parts._replace(netloc=f"{login}@{parts.netloc.rpartition('@')[2]}"))
