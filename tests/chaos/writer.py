"""A writer that changes rows behind the API's back, a version after the other, and tells the oracle."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from random import Random

import psycopg

from coherence.clock import monotonic
from tests.chaos.oracle import Oracle, Target

ACCOUNT = "CHAOS"
KEYS = tuple(f"CHAOS-{number}" for number in range(4))
ANOMALIES = "/api/v1/anomalies"
STATUSES = ("NEW", "CONFIRMED")
"""Of even and of odd versions."""
TARGETS = (
    *(Target(f"{ANOMALIES}/{key}", (key,)) for key in KEYS),
    Target(f"{ANOMALIES}?account_id={ACCOUNT}", KEYS),
    Target(f"{ANOMALIES}?account_id={ACCOUNT}&limit=2", KEYS[:2]),
    *(Target(f"{ANOMALIES}?account_id={ACCOUNT}&status={status}", KEYS, n) for n, status in enumerate(STATUSES)),
)
"""Single rows, a list of all, a full page, and filters that rows come to and go from."""
FIRST = 2

_INSERT = """
INSERT INTO public.anomalies (transaction_id, account_id, amount, currency, score, status, reason, detected_at)
VALUES (%s, %s, 1, 'EUR', 0.9, 'NEW', %s, now() - %s * interval '1 minute')
ON CONFLICT (transaction_id) DO UPDATE SET status = EXCLUDED.status, reason = EXCLUDED.reason
"""
_UPDATE = "UPDATE public.anomalies SET reason = %s, status = %s WHERE transaction_id = %s"
RETRY_SECONDS = 0.05
GAPS = (0.0, 0.005, 0.02, 0.02, 0.05)
"""Seconds between two commits of a burst; between bursts there is a rest, so that no next change hides a lost one."""
BURST = 30


async def fill(url: str) -> dict[str, int]:
    """Put the rows into the database; return their versions."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        for number, key in enumerate(KEYS):
            await connection.execute(_INSERT, (key, ACCOUNT, str(FIRST), number))
    return dict.fromkeys(KEYS, FIRST)


class Writer:
    """Commits in bursts until cancelled. Where Postgres is gone, it tries again until it is back."""

    def __init__(self, url: str, oracle: Oracle, random: Random, *, keys: Sequence[str] = KEYS) -> None:
        self.url = url
        self._oracle = oracle
        self._random = random
        self._keys = keys
        self._version = FIRST
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._writing = asyncio.Lock()

    async def pause(self) -> None:
        """Write no more; returns when no commit is under way."""
        self._may_write.clear()
        async with self._writing:
            pass

    def resume(self) -> None:
        """Write on."""
        self._may_write.set()

    async def change_all(self) -> None:
        """Change every row now, paused or not; returns when all are committed."""
        async with self._writing, await psycopg.AsyncConnection.connect(self.url, autocommit=True) as connection:
            for key in self._keys:
                await self._commit(connection, key)

    async def change(
        self, keys: Sequence[str], commit: Callable[[int], Awaitable[object]], *, gone: bool = False
    ) -> None:
        """Have `commit` give these rows their next version, which it is called with; `gone`: have it remove them."""
        self._version += 1
        for key in keys:
            self._oracle.begins(key, -self._version if gone else self._version, monotonic())
        await commit(self._version)
        for key in keys:
            self._oracle.commits(key, monotonic())

    async def run(self) -> None:
        """Write."""
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(self.url, autocommit=True) as connection:
                    await self._write(connection)
            except psycopg.OperationalError:
                await asyncio.sleep(RETRY_SECONDS)

    async def _write(self, connection: psycopg.AsyncConnection) -> None:
        while True:
            for _ in range(self._random.randrange(1, BURST)):
                await self._may_write.wait()
                async with self._writing:
                    if self._may_write.is_set():
                        await self._commit(connection, self._random.choice(self._keys))
                await asyncio.sleep(self._random.choice(GAPS))
            await asyncio.sleep(self._random.uniform(0, 1.2 * self._oracle.bound))

    async def _commit(self, connection: psycopg.AsyncConnection, key: str) -> None:
        await self.change(
            [key], lambda version: connection.execute(_UPDATE, (str(version), STATUSES[version % 2], key))
        )
