"""Connections to Postgres on which no wait is longer than it may be, and the pool's view of their health."""

import asyncio
import select
from collections.abc import Callable
from typing import Any, Self

from psycopg import AsyncConnection, OperationalError, adapters, errors, pq
from psycopg.abc import PQGen
from psycopg.adapt import AdaptersMap, Buffer, Loader
from psycopg.rows import TupleRow
from psycopg.waiting import wait_async

from coherence.clock import monotonic

CONNECT_SECONDS = 1.25
PING_SECONDS = 0.5
STANDSTILL_SECONDS = 0.25
"""A wait that ends so much too late was ended by a process that had stood still."""

WAIT_INTERVAL = 5.0
"""psycopg looks for signals this often, in seconds; asyncio sees them by itself."""


class Unanswered(OperationalError):  # noqa: N818 - what happened, in a word
    """The server did not answer in time; the connection is closed."""


class RawJson(Loader):
    """Leaves JSON as the bytes that Postgres made of it."""

    def load(self, data: Buffer) -> bytes:
        """Return a copy of the bytes."""
        return bytes(data)


class RawBinaryJson(RawJson):
    """The same, of Postgres' binary format."""

    format = pq.Format.BINARY


def raw_adapters() -> AdaptersMap:
    """Return psycopg's adapters, with JSON left as it is."""
    own = AdaptersMap(adapters)
    own.register_loader("json", RawJson)
    own.register_loader("json", RawBinaryJson)
    return own


class Connection(AsyncConnection[TupleRow]):
    """A connection that gives up by itself: `patience` is the longest wait for the server, in seconds."""

    patience = PING_SECONDS
    behind_pooler = False
    """Whether a transaction-pooling proxy may hand each of our transactions to another server session."""

    @classmethod
    async def connect(  # type: ignore[override] # the pool hands `report` on as one of its keyword arguments
        cls, conninfo: str = "", *, report: Callable[[str], None], **options: Any
    ) -> Self:
        """Connect within CONNECT_SECONDS, whatever connect_timeout says: psycopg's own least is 2 s.

        Where that fails, `report` is told why before the error is raised.
        """
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                return await super().connect(conninfo, **options)
        except TimeoutError:
            report(f"no connection within {CONNECT_SECONDS} s")
            raise Unanswered("no connection in time") from None
        except OperationalError as error:
            report(str(error).partition("\n")[0])
            raise

    async def wait(self, gen: PQGen[Any], interval: float = WAIT_INTERVAL, timeout: float | None = None) -> Any:
        """Run one of psycopg's generators. Raises Unanswered past `patience`.

        psycopg's own would, when cancelled, ask the server to cancel the query too, and wait seconds for that: a
        server that hangs answers neither. Here the connection is closed, and statement_timeout ends the query. Who
        was stopped or starved for so long itself looks once more before it blames the server.
        """
        patience = timeout or self.patience
        began = monotonic()
        try:
            try:
                return await wait_async(gen, self.pgconn.socket, interval=interval, timeout=patience)
            except errors._WaitTimeout:  # noqa: SLF001 - how psycopg says it; it has no public name
                if monotonic() - began < patience + STANDSTILL_SECONDS:
                    raise
                # The answer may be there, and nobody has looked.
                return await wait_async(gen, self.pgconn.socket, interval=interval, timeout=PING_SECONDS)
        except errors._WaitTimeout:  # noqa: SLF001
            self.pgconn.finish()
            raise Unanswered("no answer in time") from None
        except asyncio.CancelledError:
            if self.pgconn.transaction_status == pq.TransactionStatus.ACTIVE:
                self.pgconn.finish()
            raise

    @property
    def spoken_to(self) -> bool:
        """Whether the server has sent something unasked. On an idle connection that is mostly its farewell."""
        poll = select.poll()
        poll.register(self.pgconn.socket, select.POLLIN)
        return bool(poll.poll(0))
