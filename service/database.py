"""Postgres as a source of JSON rows: every question is answered, or given up, within a bound."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, NoReturn
from weakref import WeakSet

from psycopg import Error, OperationalError, errors
from psycopg_pool import AsyncConnectionPool

from coherence.keys import Scalar
from service.connection import PING_SECONDS, Connection, Unanswered, raw_adapters
from service.problems import DatabaseUnavailable, Problem, unavailable

GRACE_SECONDS = 0.25
"""How much later than the server's statement_timeout we give a statement up ourselves."""

RETRY_SECONDS = 0.25
"""How often a lost Postgres is looked for."""

ATTEMPTS = 3
"""How often a statement is tried on another connection when its own turns out to be dead."""

# A generic plan would take every score for an average one; compiling a plan takes longer than our queries; and a page
# deep in a list is read by the index, not by sorting the table, if random reads are not thought to be much dearer.
_SESSION = """
SELECT set_config('TimeZone', 'UTC', false), set_config('extra_float_digits', '1', false),
       set_config('statement_timeout', %(statement_timeout)s, false),
       set_config('default_transaction_isolation', 'read committed', false),
       set_config('plan_cache_mode', 'force_custom_plan', false), set_config('jit', 'off', false),
       set_config('random_page_cost', '1.1', false),
       pg_backend_pid()
"""
_TRANSACTION = """
SELECT set_config('TimeZone', 'UTC', true), set_config('extra_float_digits', '1', true),
       set_config('statement_timeout', %(statement_timeout)s, true)
"""
_TABLES = "SELECT 1 WHERE to_regclass('public.anomalies') IS NULL OR to_regclass('public.transactions') IS NULL"

_NOT_SET_UP = (errors.UndefinedTable, errors.UndefinedColumn, errors.InvalidSchemaName, errors.InsufficientPrivilege)


@dataclass(frozen=True, slots=True)
class DatabaseLost:
    """Postgres cannot be reached, or hangs; until it is found again, questions are refused at once."""

    reason: str


@dataclass(frozen=True, slots=True)
class DatabaseFound:
    """Postgres answers again."""


DatabaseEvent = DatabaseLost | DatabaseFound


class Database:
    """A pool of `size` connections to the Postgres of `url`; use it within `running()`.

    `statement_timeout` is in seconds. `observer` is told when Postgres is lost and when it is found again.
    """

    def __init__(
        self, url: str, *, size: int, statement_timeout: float, observer: Callable[[DatabaseEvent], None]
    ) -> None:
        self._settings = {"statement_timeout": str(round(statement_timeout * 1000))}
        self._patience = statement_timeout + GRACE_SECONDS
        self._observe = observer
        self._lost = asyncio.Event()
        self._waiting: set[asyncio.Timeout] = set()
        self._connections: WeakSet[Connection] = WeakSet()
        self._pool = AsyncConnectionPool(
            url,
            connection_class=Connection,
            kwargs={
                "autocommit": True,
                "context": raw_adapters(),
                "report": self._could_not_connect,
                "fallback_application_name": "anomaly-cache-api",
                # A standby's rows may be older than the stamp that they would get.
                "target_session_attrs": "primary",
            },
            min_size=1,
            max_size=size,
            open=False,
            configure=self._configure,
            check=self._check,
            timeout=self._patience,
            # Nobody waits in the background for a Postgres that is gone: whoever needs a connection asks for one.
            reconnect_timeout=0.0,
            name="api",
        )

    @property
    def available(self) -> bool:
        """Whether Postgres is thought to answer."""
        return not self._lost.is_set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[NoReturn]]:
        """Open the pool without waiting for Postgres; yield the task that looks for a lost one, to be watched."""
        await self._pool.open(wait=False)
        task = asyncio.create_task(self._look_for_lost(), name="database")
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await self._pool.close(timeout=1.0)

    async def rows(self, sql: str, parameters: Mapping[str, Scalar]) -> list[tuple[Any, ...]]:
        """Run a statement in a transaction of its own; return its rows. A value of type json is left as its bytes.

        The statement must bear to be run twice: where its connection breaks, nobody knows whether it was run.
        Raises the 503 Problem where Postgres cannot be reached, hangs, is too slow, or lacks our tables.
        """
        if self._lost.is_set():
            raise _no_database()
        deadline = asyncio.get_running_loop().time() + self._patience
        try:
            return await self._rows(sql, parameters, deadline)
        except errors.QueryCanceled:
            raise DatabaseUnavailable("query-timeout", "the database took too long to answer") from None
        except errors.ReadOnlySqlTransaction:
            raise unavailable("database-read-only", "the database takes no changes at the moment") from None
        except _NOT_SET_UP as error:
            raise unavailable("database-not-ready", f"the database is not set up: {error}".strip()) from None
        except (OperationalError, TimeoutError) as error:
            raise _no_database() from error

    async def missing(self) -> str | None:
        """Return what the database lacks for us to be ready: "postgres", "tables", or None."""
        try:
            return "tables" if await self.rows(_TABLES, {}) else None
        except (Problem, Error):
            return "postgres"

    async def _rows(self, sql: str, parameters: Mapping[str, Scalar], deadline: float) -> list[tuple[Any, ...]]:
        for _ in range(ATTEMPTS):
            connection = await self._checkout(deadline)
            patience = deadline - asyncio.get_running_loop().time()
            connection.patience = max(patience, GRACE_SECONDS)
            try:
                return await self._run(connection, sql, parameters)
            except Unanswered:
                if patience > self._patience - GRACE_SECONDS:
                    self._lose("it does not answer")
                raise
            except OperationalError:
                if not connection.closed:
                    raise
            finally:
                connection.patience = PING_SECONDS
                await self._pool.putconn(connection)
        self._lose("its connections break")
        raise OperationalError("the connections break")

    async def _run(self, connection: Connection, sql: str, parameters: Mapping[str, Scalar]) -> list[tuple[Any, ...]]:
        if not connection.behind_pooler:
            return await _fetch(connection, sql, parameters)
        async with connection.transaction():
            await connection.execute(_TRANSACTION, self._settings)
            return await _fetch(connection, sql, parameters)

    async def _checkout(self, deadline: float) -> Connection:
        async with asyncio.timeout_at(deadline) as waiting:
            self._waiting.add(waiting)
            try:
                return await self._pool.getconn()
            finally:
                self._waiting.discard(waiting)

    async def _configure(self, connection: Connection) -> None:
        cursor = await connection.execute(_SESSION, self._settings)
        row = await cursor.fetchone()
        # A pooler invents process ids. The session's settings and prepared statements may not be ours behind it.
        if row is not None and row[-1] != connection.info.backend_pid:
            connection.behind_pooler = True
            connection.prepare_threshold = None
        self._connections.add(connection)

    async def _check(self, connection: Connection) -> None:
        if not connection.spoken_to:
            return
        try:
            await connection.execute("")
        except OperationalError:
            # Its neighbours have most likely been told the same.
            await self._pool.drain()
            raise

    def _could_not_connect(self, reason: str) -> None:
        if all(connection.closed for connection in self._connections):
            self._lose(reason)
            for waiting in self._waiting:
                if not waiting.expired():
                    waiting.reschedule(0.0)

    def _lose(self, reason: str) -> None:
        if not self._lost.is_set():
            self._lost.set()
            self._observe(DatabaseLost(reason))

    async def _look_for_lost(self) -> NoReturn:
        while True:
            await self._lost.wait()
            # What hung there may hang on.
            await self._pool.drain()
            while not await self._answers():  # noqa: ASYNC110 - Postgres sets no event
                await asyncio.sleep(RETRY_SECONDS)
            self._lost.clear()
            self._observe(DatabaseFound())

    async def _answers(self) -> bool:
        try:
            connection = await self._checkout(asyncio.get_running_loop().time() + self._patience)
            try:
                await connection.execute("SELECT 1")
            finally:
                await self._pool.putconn(connection)
        except (OperationalError, TimeoutError):
            return False
        return True


async def _fetch(connection: Connection, sql: str, parameters: Mapping[str, Scalar]) -> list[tuple[Any, ...]]:
    # In the binary format a page is taken as it comes: neither decoded nor unescaped.
    cursor = await connection.execute(sql, parameters, binary=True)
    return await cursor.fetchall()


def _no_database() -> Problem:
    return DatabaseUnavailable("database-unavailable", "the database cannot be reached")
