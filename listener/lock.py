"""Which of a deployment's listeners is the active one: the one whose session holds an advisory lock.

This saves work, no more: two listeners that are active at once do no harm.
"""

import hashlib
from dataclasses import dataclass

from listener.session import Session

_HELD = """
    pg_locks
 WHERE locktype = 'advisory'
   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND classid = ((%(key)s::bigint >> 32) & 4294967295)::oid
   AND objid = (%(key)s::bigint & 4294967295)::oid
   AND objsubid = 1
   AND granted
"""


def lock_key(redis_address: str, prefix: str) -> int:
    """Return the lock of the deployment whose keys lie behind `prefix` in the Redis at `redis_address`.

    Redis counts, too: were two deployments in one database to share a lock, one of them would never get a lease.
    """
    digest = hashlib.sha256(f"anomaly-cache listener\0{redis_address}\0{prefix}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


@dataclass(frozen=True, slots=True)
class Lock:
    """The advisory lock. Its methods raise SessionLost and StatementFailed."""

    session: Session
    key: int

    async def take(self) -> bool:
        """Take the lock if it is free; it comes free again when the session ends, however it does."""
        rows = await self.session.run("SELECT pg_try_advisory_lock(%(key)s)", {"key": self.key})
        return bool(rows[0][0])

    async def holder(self) -> int | None:
        """Return the process id of the session that holds the lock, None if no other than this one does."""
        rows = await self.session.run(
            f"SELECT pid FROM {_HELD} AND pid <> pg_backend_pid()",  # noqa: S608 - constants
            {"key": self.key},
        )
        return int(rows[0][0]) if rows else None

    async def evict(self, holder: int) -> None:
        """End the session `holder` if it holds the lock still, and wait a moment for that. Same role needed."""
        await self.session.run(
            f"SELECT pg_terminate_backend(pid, 100) FROM {_HELD} AND pid = %(holder)s",  # noqa: S608 - constants
            {"key": self.key, "holder": holder},
        )
