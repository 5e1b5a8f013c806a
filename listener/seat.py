"""The active listener's seat: taken with the lock, or, from a holder that gives no lease, without it."""

from listener.events import Evicted, Observer
from listener.lock import Lock
from listener.session import StatementFailed


class Superseded(Exception):  # noqa: N818 - it names what happened
    """This listener took the seat without the lock, and should leave it again; the message says why."""


class Seat:
    """Whether this session is, and may remain, the active one. Methods raise SessionLost and StatementFailed."""

    def __init__(self, lock: Lock, observer: Observer) -> None:
        self.lock = lock
        self.held = False
        """Whether the lock is this session's."""
        self.usurped: int | None = None
        """The session, by its process id, in whose place this one serves."""
        self._observe = observer

    async def take(self) -> bool:
        """Take the lock if it is free, and return whether it is this session's."""
        if not self.held:
            self.held = await self.lock.take()
        return self.held

    def usurp(self, holder: int) -> None:
        """Serve in the place of `holder`, without the lock."""
        self.usurped = holder

    async def confirm(self) -> None:
        """Make a usurped seat good, now that this listener has shown that it can serve: end the holder's session.

        Raises Superseded if somebody else has the lock by now.
        """
        if await self.take():
            return
        holder = await self.lock.holder()
        if holder is None:
            return
        if holder != self.usurped:
            raise Superseded("another listener has taken the lock")
        problem: str | None = None
        try:
            await self.lock.evict(holder)
        except StatementFailed as error:
            problem = str(error)
        self._observe(Evicted(holder, problem))
        if problem is None:
            await self.take()  # before the one that was evicted comes back for it
