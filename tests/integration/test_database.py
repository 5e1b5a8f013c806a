"""The database of the API, apart from HTTP."""

import asyncio
import time
from collections.abc import AsyncIterator

import psycopg
import pytest

from service.database import GRACE_SECONDS, Database, DatabaseEvent
from tests.support.postgres import one
from tests.support.waiting import eventually

STATEMENT_SECONDS = 0.5
ASLEEP = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
BYTES = 3_000_000
"""More than a socket holds: what remains is sent when somebody reads."""


@pytest.fixture
def events() -> list[DatabaseEvent]:
    """What the database has told."""
    return []


@pytest.fixture
async def database(database_url: str, events: list[DatabaseEvent]) -> AsyncIterator[Database]:
    """A database whose statements may take half a second."""
    database = Database(database_url, size=2, statement_timeout=STATEMENT_SECONDS, observer=events.append)
    async with database.running():
        yield database


async def test_a_process_that_stood_still_does_not_blame_the_server(
    database: Database, database_url: str, events: list[DatabaseEvent]
) -> None:
    """SIGSTOP, or a busy machine: the answer has come meanwhile, and is taken, however late it is."""
    await database.rows("SELECT", {})
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as onlooker:
        question = f"SELECT pg_sleep(0.3), repeat('x', {BYTES}) AS body"
        asking = asyncio.create_task(database.rows(question, {}))

        async def asleep() -> bool:
            return bool(await one(onlooker, ASLEEP))

        await eventually(asleep, within=20)
    time.sleep(STATEMENT_SECONDS + 3 * GRACE_SECONDS)  # noqa: ASYNC251 - that the event loop stands still is the point
    [(_, body)] = await asking
    assert len(body) == BYTES
    assert not events
