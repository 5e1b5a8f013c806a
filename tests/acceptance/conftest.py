"""The system under test: two replicas and a listener on servers that other tests share."""

from collections.abc import AsyncIterator

import pytest

from tests.acceptance.system import System
from tests.support.processes import Programs

ROWS = 40


async def fill(system: System) -> None:
    """Put in anomalies T0 (the newest) to T39, with their transactions, of four accounts."""
    await system.sql(
        f"""INSERT INTO anomalies (transaction_id, account_id, amount, currency, score, detected_at)
            SELECT 'T' || i, 'ACC' || i % 4, 10 + i, 'EUR', 1 - i / 100.0, now() - i * interval '1 minute'
            FROM generate_series(0, {ROWS - 1}) AS i""",  # noqa: S608 - a constant
        f"""INSERT INTO transactions (transaction_id, account_id, amount, currency, merchant, occurred_at)
            SELECT 'T' || i, 'ACC' || i % 4, 10 + i, 'EUR', 'Shop', now() - i * interval '1 minute'
            FROM generate_series(0, {ROWS - 1}) AS i""",  # noqa: S608 - a constant
    )


@pytest.fixture
async def system(programs: Programs, migrated_url: str, redis_url: str, cache_prefix: str) -> AsyncIterator[System]:
    """Two replicas and a listener, caching."""
    async with System(programs, migrated_url, redis_url, cache_prefix) as made:
        await fill(made)
        await made.start_listener()
        await made.start_replica()
        await made.start_replica()
        await made.caching()
        yield made
