"""Asks one process for one row, one request after the other."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

from bench.client import Connection, connect, header, request
from bench.errors import BenchError

PATIENCE_SECONDS = 5.0


class Asker:
    """A connection to a process. What takes longer than PATIENCE_SECONDS raises BenchError."""

    def __init__(self) -> None:
        self._answer: asyncio.Future[tuple[bytes, bytes]]
        self._connection: Connection

    @classmethod
    @asynccontextmanager
    async def of(cls, port: int) -> AsyncIterator[Self]:
        """Connect to a port of this machine, and disconnect in the end."""
        asker = cls()
        asker._connection = await connect(port, asker._answered, asker._failed)
        try:
            yield asker
        finally:
            asker._connection.close()

    async def ask(self, key: str) -> tuple[bytes, dict[str, Any]]:
        """Return an answer's Cache-Status and its row."""
        self._answer = asyncio.get_running_loop().create_future()
        self._connection.send(request(f"/api/v1/anomalies/{key}"))
        head, body = await self._answer
        return header(head, b"cache-status"), json.loads(body)

    async def ask_until_kept(self, key: str) -> dict[str, Any]:
        """Return the row once the process answers from its own memory."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            cache_status, row = await self.ask(key)
            if cache_status.rpartition(b"detail=")[2] == b"l1":
                return row
            give_up_after(deadline, key)

    def _answered(self, _: Connection, head: bytes, body: bytes) -> None:
        self._answer.set_result((head, body))

    def _failed(self, error: Exception) -> None:
        self._answer.set_exception(error)


def give_up_after(deadline: float, what: str) -> None:
    """Raise BenchError where it is later than `deadline`, of the monotonic clock."""
    if time.monotonic() > deadline:
        raise BenchError(f"{what} is not there after {PATIENCE_SECONDS:g} s")
