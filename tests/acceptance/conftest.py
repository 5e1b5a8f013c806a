"""The system under test: two replicas and a listener, caching."""

from collections.abc import AsyncIterator

import pytest

from tests.acceptance.system import System
from tests.support.own_servers import ServerRoom
from tests.support.processes import Programs

ROWS = 40
PATIENT = {"CACHE_MAX_STALENESS_SECONDS": "6", "REDIS_TIMEOUT_MS": "2000"}
"""For tests in which nothing is broken: a machine that is busy for a second must not look like a fault."""


async def fill(system: System) -> None:
    """Have anomalies T0 (the newest) to T39, with their transactions, of four accounts, and nothing else."""
    await system.sql(
        "DELETE FROM anomalies",
        "DELETE FROM transactions",
        f"""INSERT INTO anomalies (transaction_id, account_id, amount, currency, score, detected_at)
            SELECT 'T' || i, 'ACC' || i % 4, 10 + i, 'EUR', 1 - i / 100.0, now() - i * interval '1 minute'
            FROM generate_series(0, {ROWS - 1}) AS i""",  # noqa: S608 - a constant
        f"""INSERT INTO transactions (transaction_id, account_id, amount, currency, merchant, occurred_at)
            SELECT 'T' || i, 'ACC' || i % 4, 10 + i, 'EUR', 'Shop', now() - i * interval '1 minute'
            FROM generate_series(0, {ROWS - 1}) AS i""",  # noqa: S608 - a constant
    )


@pytest.fixture(scope="session")
async def shared_system(
    shared_programs: Programs, shared_migrated_url: str, session_room: ServerRoom
) -> AsyncIterator[System]:
    """Two replicas and a listener, for tests that leave them as they are."""
    async with System(shared_programs, shared_migrated_url, session_room.valkey().url, "shared:", PATIENT) as made:
        await start(made)
        yield made


@pytest.fixture
async def system(shared_system: System) -> System:
    """The shared system, with the rows as they were and nothing cached."""
    generation = await shared_system.generation()
    await fill(shared_system)
    await shared_system.caught_up(generation)
    for namespace in ("anomalies", "transactions"):
        await shared_system.forget(namespace)
    await shared_system.caching()
    return shared_system


@pytest.fixture
async def own_system(programs: Programs, migrated_url: str, redis_url: str, cache_prefix: str) -> AsyncIterator[System]:
    """Two replicas and a listener that the test may break."""
    async with System(programs, migrated_url, redis_url, cache_prefix) as made:
        await fill(made)
        await start(made)
        yield made


async def start(system: System) -> None:
    """Start a listener and two replicas, and wait until they cache."""
    await system.start_listener()
    await system.start_replica()
    await system.start_replica()
    await system.caching()
