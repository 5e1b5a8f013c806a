"""What Postgres announces: LISTEN, the notifications, and the fence that proves that none is missing."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from itertools import count

import psycopg

from coherence.changes import Change, merge
from listener.payload import CHANNEL, Fence, parse
from listener.session import Session, SessionLost, StatementFailed, open_session

_NOTIFY = "SELECT pg_notify(%(channel)s, %(payload)s)"


class Unsuitable(Exception):  # noqa: N818 - it names what the server is
    """The server cannot serve a listener, and trying again will not help. The message says what to set."""


class Source:
    """A session that hears what Postgres announces."""

    def __init__(self, session: Session) -> None:
        """Use `session` from here on; `open_source` makes both."""
        self.session = session
        self._name = secrets.token_hex(8)
        self._numbers = count(1)

    async def listen(self) -> None:
        """Begin to hear the notifications of later commits. Raises SessionLost."""
        await self._ask(f"LISTEN {CHANNEL}")

    async def unlisten(self) -> None:
        """Stop hearing. Raises SessionLost."""
        await self._ask(f"UNLISTEN {CHANNEL}")

    async def changes(self, timeout: float) -> tuple[Change, ...]:
        """Return what was announced since the last call, waiting at most `timeout` seconds for something.

        Changes of the same namespace and cause are summed up. Raises SessionLost.
        """
        return merge(heard for heard in await self._hear(timeout) if isinstance(heard, Change))

    async def fence(self) -> tuple[Change, ...]:
        """Return what was announced and not yet returned of everything committed before this call.

        Postgres delivers notifications in the order of the commits, so when our own is back, every earlier one is
        here. Raises SessionLost, also if ours does not come back: then others may be missing too.
        """
        fence = self._new_fence()
        await self._ask(_NOTIFY, channel=CHANNEL, payload=fence.as_payload())
        heard = await self._hear_until(fence)
        if fence not in heard:
            raise SessionLost("the session's own notification did not come back")
        return merge(each for each in heard if isinstance(each, Change))

    async def check_suitable(self, messenger: Session) -> None:
        """Make sure that notifications of other sessions reach this one while it does nothing.

        Behind a transaction pooler they go to whichever client has the server connection just then. That shows only
        while this session is idle, so `messenger`, a second session, sends the notification.
        Raises Unsuitable, or SessionLost.
        """
        if (await self._ask("SELECT pg_is_in_recovery()"))[0][0]:
            raise Unsuitable(
                "the server is a hot standby, where LISTEN does not work: point LISTENER_DATABASE_URL at the primary"
                " (with several hosts in the URL, add target_session_attrs=read-write)"
            )
        fence = self._new_fence()
        await self.listen()
        try:
            await messenger.run(_NOTIFY, {"channel": CHANNEL, "payload": fence.as_payload()})
        except StatementFailed as error:
            raise SessionLost(str(error)) from None
        heard = await self._hear_until(fence)
        # Before anything is said: behind a pooler, who listens on this connection next is somebody else.
        await self.unlisten()
        if fence not in heard:
            raise Unsuitable(
                "LISTEN does not work on this connection, as is the case through a transaction pooler such as"
                " PgBouncer: set LISTENER_DATABASE_URL to a URL that leads directly to Postgres"
            )

    def _new_fence(self) -> Fence:
        return Fence(f"{self._name}-{next(self._numbers)}")

    async def _hear_until(self, fence: Fence) -> list[Change | Fence]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.session.limit
        heard = await self._hear(0)
        while fence not in heard and (left := deadline - loop.time()) > 0:
            heard += await self._hear(left)
        return heard

    async def _hear(self, timeout: float) -> list[Change | Fence]:
        try:
            # psycopg puts by what comes while a statement runs, and yields it here first. A batch is what one read
            # brings: it is taken to its end, since what is left of one is lost.
            async with aclosing(self.session.connection.notifies(timeout=timeout, stop_after=1)) as notifications:
                return [parse(notification.payload) async for notification in notifications]
        except psycopg.Error as error:
            raise self.session.lost(error) from None

    async def _ask(self, statement: str, **parameters: str) -> Sequence[tuple[object, ...]]:
        try:
            return await self.session.run(statement, parameters or None)
        except StatementFailed as error:
            # None of these fails on a sound session, save when the server has just become a standby.
            raise SessionLost(str(error)) from None


@asynccontextmanager
async def open_source(url: str, *, limit: float) -> AsyncIterator[Source]:
    """Connect to `url` for hearing; an await on Postgres takes at most `limit` seconds.

    Raises Unsuitable if the server or what lies before it does not deliver notifications, else SessionLost.
    """
    async with open_session(url, limit=limit, name="anomaly-cache listener") as session:
        source = Source(session)
        async with open_session(url, limit=limit, name="anomaly-cache listener check") as messenger:
            await source.check_suitable(messenger)
        yield source
