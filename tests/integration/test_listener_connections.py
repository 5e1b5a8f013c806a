"""Which of the listener's connections to Redis is for what."""

import psycopg

from tests.support.processes import Programs
from tests.support.redis_proxy import Command, Meddling, RedisProxy
from tests.support.waiting import eventually

SWEEPS = 3


class Recorder(Meddling):
    """Notes on which connection each command came."""

    def __init__(self) -> None:
        self.connections: dict[str, set[int]] = {}
        self.counts: dict[str, int] = {}

    async def command(self, command: Command) -> None:
        """Note it."""
        name = command.words[0].decode().upper()
        self.connections.setdefault(name, set()).add(command.connection)
        self.counts[name] = self.counts.get(name, 0) + 1


async def test_the_protocol_has_a_connection_of_its_own(
    programs: Programs, migrated_url: str, redis_url: str, cache_prefix: str
) -> None:
    """What one server said is put to no other, even while connections lead to two: sweeps use another connection."""
    async with RedisProxy(redis_url) as proxy, await psycopg.AsyncConnection.connect(migrated_url) as connection:
        proxy.meddling = seen = Recorder()
        await programs.listener(
            DATABASE_URL=migrated_url,
            REDIS_URL=proxy.url,
            CACHE_PREFIX=cache_prefix,
            CACHE_MAX_STALENESS_SECONDS="0.5",
        )

        async def swept() -> bool:
            await connection.execute("SELECT coherence.invalidate('anomalies')")
            await connection.commit()
            return seen.counts.get("SCAN", 0) >= SWEEPS

        await eventually(swept, within=20.0, every=0.05)
        await programs.close()
    protocol = seen.connections["TIME"]
    assert len(protocol) == 1
    assert seen.connections["EVALSHA"] == seen.connections["INFO"] == protocol
    assert not seen.connections["SCAN"] & protocol
