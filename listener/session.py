"""One session with Postgres, in which nothing hangs: a statement has an answer in time, or the session is over."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import psycopg

CONNECT_SECONDS = 10.0
"""Most that connecting may take, all hosts of the URL and all their addresses taken together."""

_SECONDS_PER_HOST = 2  # the least that libpq takes

# A pooler invents process ids. Behind one the session is others' too, and nothing is to outlast this statement.
_SET_UP = """
SELECT set_config('statement_timeout', %(ms)s, pooled),
       set_config('lock_timeout', %(ms)s, pooled),
       -- A fence needs no disk, and would hold writers up while it waits for one.
       set_config('synchronous_commit', 'off', pooled),
       -- A listener that vanished from the network is noticed, and its lock comes free.
       set_config('tcp_keepalives_idle', '5', pooled),
       set_config('tcp_keepalives_interval', '2', pooled),
       set_config('tcp_keepalives_count', '3', pooled)
  FROM (SELECT pg_backend_pid() <> %(pid)s AS pooled) AS session
"""


_LAST_WORDS = ("FATAL", "PANIC")
"""Severities of an error after which Postgres closes the connection."""


class SessionLost(Exception):  # noqa: N818 - it names what happened
    """Postgres cannot be reached, did not answer in time, or ended the session. What it notified since is lost."""


class StatementFailed(Exception):  # noqa: N818 - it names what happened
    """Postgres refused a statement; the session goes on. `sqlstate` is Postgres' five-character code."""

    def __init__(self, error: psycopg.Error) -> None:
        super().__init__(_reason(error))
        self.sqlstate = error.sqlstate


class Session:
    """An autocommitting connection to Postgres whose every statement is bounded in time."""

    def __init__(self, connection: psycopg.AsyncConnection, limit: float) -> None:
        """Wrap `connection`; a statement may take `limit` seconds. `open_session` makes one."""
        self.connection = connection
        self.limit = limit
        self._cut_off: str | None = None

    async def run(self, statement: str, parameters: dict[str, Any] | None = None) -> Sequence[tuple[Any, ...]]:
        """Execute `statement` and return its rows.

        Raises StatementFailed if Postgres refused it, SessionLost if there was no answer in time or none at all.
        """
        timer = asyncio.get_running_loop().call_later(self.limit, self.cut, f"no answer within {self.limit:.3g} s")
        try:
            # A constant of this package, typed as str where it comes from a file.
            cursor = await self.connection.execute(statement.encode(), parameters)
            return await cursor.fetchall() if cursor.description else ()
        except psycopg.Error as error:
            if self._cut_off or self.connection.closed or error.diag.severity_nonlocalized in _LAST_WORDS:
                raise self.lost(error) from None
            raise StatementFailed(error) from None
        finally:
            timer.cancel()

    def cut(self, reason: str) -> None:
        """End the session at once, whatever Postgres is doing: what is being awaited raises SessionLost.

        Cancelling the awaiting task instead would make psycopg ask the server, which may hang, to cancel the
        statement, and wait for that.
        """
        self._cut_off = self._cut_off or reason
        if self.connection.closed:
            return
        wire = socket.socket(fileno=self.connection.pgconn.socket)
        with suppress(OSError):  # the peer has closed it already
            wire.shutdown(socket.SHUT_RDWR)
        wire.detach()

    def lost(self, error: psycopg.Error) -> SessionLost:
        """Return the SessionLost that `error`, met outside of `run`, amounts to."""
        return SessionLost(self._cut_off or _reason(error))


@asynccontextmanager
async def open_session(url: str, *, limit: float, name: str) -> AsyncIterator[Session]:
    """Connect to `url` as application `name`, and disconnect in the end. A statement may take `limit` seconds.

    Raises SessionLost if that fails, for whatever reason.
    """
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            connection = await psycopg.AsyncConnection.connect(
                url,
                autocommit=True,
                connect_timeout=_SECONDS_PER_HOST,
                client_encoding="utf8",
                application_name=name,
                keepalives=1,
                keepalives_idle=5,
                keepalives_interval=2,
                keepalives_count=3,
                tcp_user_timeout=max(1000, round(limit * 1000)),
            )
    except TimeoutError:
        raise SessionLost(f"no connection within {CONNECT_SECONDS:.0f} s") from None
    except (psycopg.Error, OSError) as error:
        raise SessionLost(_reason(error)) from None
    session = Session(connection, limit)
    try:
        await _set_up(session)
        yield session
    finally:
        # Closing says goodbye without waiting, which frees the session's lock, and does not wait for a hung server.
        await connection.close()


async def _set_up(session: Session) -> None:
    try:
        milliseconds = max(1, round(session.limit * 1000))
        await session.run(_SET_UP, {"ms": f"{milliseconds}ms", "pid": session.connection.info.backend_pid})
    except StatementFailed as error:
        raise SessionLost(str(error)) from None


def _reason(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
