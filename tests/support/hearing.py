"""Ears on the channel that Postgres announces changes on."""

import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
from psycopg import Notify

Heard = tuple[str | None, str]
"""A namespace, None for all of them, and what happened to it."""


class Ears:
    """A session that listens. `listening` makes one."""

    def __init__(self, connection: psycopg.AsyncConnection) -> None:
        self._connection = connection
        self._payloads: list[str] = []
        connection.add_notify_handler(self._hear)

    def _hear(self, notification: Notify) -> None:
        self._payloads.append(notification.payload)

    async def payloads(self) -> list[str]:
        """Return what was committed since the last call, in order; nothing that is committed later is among it."""
        fence = json.dumps({"fence": uuid.uuid4().hex})
        # Notifications come in the order of the commits, and our own has come when its statement is through.
        await self._connection.execute("SELECT pg_notify('coherence', %s)", [fence])
        end = self._payloads.index(fence)
        heard, self._payloads = self._payloads[:end], self._payloads[end + 1 :]
        return heard

    async def changes(self) -> list[Heard]:
        """Return which namespaces changed since the last call, and how."""
        return [(change["ns"], change["op"]) for change in map(json.loads, await self.payloads())]


@asynccontextmanager
async def listening(url: str) -> AsyncIterator[Ears]:
    """Listen on the database of `url`."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute("LISTEN coherence")
        yield Ears(connection)
