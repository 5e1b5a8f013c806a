"""What a source hears from a real Postgres, and how it takes a server that hangs, goes away or is of no use."""

import asyncio
import time
from collections.abc import AsyncIterator

import psycopg
import pytest

from anomaly_cache.servers.ports import free_port
from coherence.changes import Change
from listener.session import Session, SessionLost, StatementFailed, open_session
from listener.source import Source, Unsuitable, open_source
from tests.support.proxy import Proxy
from tests.support.waiting import eventually

LIMIT = 1.0


@pytest.fixture
async def source(database_url: str) -> AsyncIterator[Source]:
    """A source that listens."""
    async with open_source(database_url, limit=LIMIT) as opened:
        await opened.listen()
        yield opened


@pytest.fixture
async def writer(database_url: str) -> AsyncIterator[psycopg.AsyncConnection]:
    """Another session of the same database, autocommitting."""
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        yield connection


async def announce(writer: psycopg.AsyncConnection, *payloads: str) -> None:
    """Notify the payloads in one transaction."""
    async with writer.transaction():
        for payload in payloads:
            await writer.execute("SELECT pg_notify('coherence', %s)", [payload])


async def test_hears_a_commit_at_once(source: Source, writer: psycopg.AsyncConnection) -> None:
    """A notification ends the wait for one."""
    waiting = asyncio.create_task(source.changes(10))
    await announce(writer, '{"ns": "anomalies", "op": "update"}')
    assert await waiting == (Change("anomalies", "update"),)


async def test_sums_up_what_came_together(source: Source, writer: psycopg.AsyncConnection) -> None:
    """One batch holds a change for each namespace and cause, with the number of notifications."""
    for _ in range(3):
        await announce(writer, '{"ns": "anomalies", "op": "update"}', '{"ns": null, "op": "invalidate"}')
    assert await source.fence() == (Change("anomalies", "update", 3), Change(None, "invalidate", 3))


async def test_rollback_announces_nothing(source: Source, writer: psycopg.AsyncConnection) -> None:
    """What was rolled back was never announced."""
    async with writer.transaction(force_rollback=True):
        await writer.execute("""SELECT pg_notify('coherence', '{"ns": "anomalies", "op": "update"}')""")
    assert await source.fence() == ()


async def test_a_quiet_wait_ends_in_time(source: Source) -> None:
    """Hearing nothing for the time given is no failure."""
    started = time.monotonic()
    assert await source.changes(0.05) == ()
    assert time.monotonic() - started < LIMIT


async def test_fence_brings_every_earlier_commit(source: Source, database_url: str) -> None:
    """When a fence is back, so is all that other sessions committed before it began."""
    committed = 0
    heard = 0

    async def write() -> None:
        nonlocal committed
        async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
            for _ in range(200):
                await announce(connection, '{"ns": "anomalies", "op": "update"}')
                committed += 1

    writers = [asyncio.create_task(write()) for _ in range(4)]
    while not all(task.done() for task in writers):
        await asyncio.sleep(0.002)  # let some be committed that nobody has asked for yet
        before = committed
        heard += sum(change.notifications for change in await source.fence())
        assert heard >= before
        heard += sum(change.notifications for change in await source.changes(0))
    await asyncio.gather(*writers)
    heard += sum(change.notifications for change in await source.fence())
    assert heard == committed == 800


async def test_fences_of_others_are_nothing(source: Source, writer: psycopg.AsyncConnection) -> None:
    """Another listener's fence is no change, and not ours."""
    await announce(writer, '{"fence": "of-another-1"}')
    assert await source.fence() == ()


async def test_nonsense_means_everything(source: Source, writer: psycopg.AsyncConnection) -> None:
    """Anybody may NOTIFY: what cannot be understood is taken for a change of everything."""
    await announce(writer, "hello")
    assert await source.fence() == (Change(None, "unparsable"),)


async def test_bytes_that_are_no_text_are_a_gap(database_url: str, writer: psycopg.AsyncConnection) -> None:
    """A database without an encoding lets any bytes through. Postgres cannot send them, and ends the session."""
    name = "ascii_" + database_url.rpartition("/")[2]
    await writer.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'")
    try:
        url = database_url.rpartition("/")[0] + "/" + name
        async with (
            open_source(url, limit=LIMIT) as source,
            await psycopg.AsyncConnection.connect(url, autocommit=True) as rogue,
        ):
            await source.listen()
            await rogue.execute(rb"SELECT pg_notify('coherence', E'\xff')")
            with pytest.raises(SessionLost):
                await source.changes(5)
    finally:
        await writer.execute(f"DROP DATABASE {name} WITH (FORCE)")


async def test_terminated_session_is_lost(source: Source, writer: psycopg.AsyncConnection) -> None:
    """A session that Postgres ends is noticed while it waits."""
    waiting = asyncio.create_task(source.changes(10))
    await writer.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'anomaly-cache listener' AND datname = current_database()"
    )
    with pytest.raises(SessionLost):
        await waiting


async def test_refused_statement_leaves_the_session_whole(source: Source) -> None:
    """An error in a statement is the statement's, and says its SQLSTATE."""
    with pytest.raises(StatementFailed) as caught:
        await source.session.run("SELECT * FROM nowhere")
    assert caught.value.sqlstate == "42P01"
    assert await source.fence() == ()


async def test_silent_network_is_noticed_in_time(database_url: str) -> None:
    """A half-open connection costs a statement its limit, not minutes."""
    async with Proxy(database_url) as proxy, open_source(proxy.url, limit=0.3) as source:
        await source.listen()
        proxy.stall()
        started = time.monotonic()
        with pytest.raises(SessionLost, match=r"no answer within 0\.3 s"):
            await source.fence()
        assert time.monotonic() - started < 1


async def test_cut_session_is_lost_at_once(source: Source) -> None:
    """Cutting a session ends what is being awaited on it."""
    waiting = asyncio.create_task(source.session.run("SELECT pg_sleep(0.9)"))
    await asyncio.sleep(0)
    source.session.cut("stopping")
    with pytest.raises(SessionLost, match="stopping"):
        await waiting


async def test_no_server_is_a_lost_session() -> None:
    """A server that is not there is a session lost, without the password in the words."""
    with pytest.raises(SessionLost) as caught:
        async with open_source(f"postgresql://me:hidden@127.0.0.1:{free_port()}/x", limit=LIMIT):
            pass
    assert "hidden" not in str(caught.value)


async def test_notifications_that_go_elsewhere_are_found_out(database_url: str, postgres_url: str) -> None:
    """If what another session announces does not arrive here, LISTEN is of no use on this connection."""
    async with (
        open_session(database_url, limit=0.3, name="test") as session,
        open_session(postgres_url, limit=0.3, name="test") as elsewhere,
    ):
        with pytest.raises(Unsuitable, match="LISTENER_DATABASE_URL"):
            await Source(session).check_suitable(elsewhere)


async def test_opening_leaves_one_session(database_url: str, writer: psycopg.AsyncConnection) -> None:
    """The session that helps to check is gone when the source is open, and with the source nothing is left."""

    async def sessions() -> list[str]:
        rows = await writer.execute(
            "SELECT application_name FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name LIKE 'anomaly-cache%'"
        )
        return [name for (name,) in await rows.fetchall()]

    async def only_the_listener() -> bool:
        return await sessions() == ["anomaly-cache listener"]

    async def none() -> bool:
        return not await sessions()

    async with open_source(database_url, limit=LIMIT):
        await eventually(only_the_listener)
    await eventually(none)


async def test_a_waiting_session_is_in_no_transaction(source: Source, writer: psycopg.AsyncConnection) -> None:
    """A listener in a transaction would hold Postgres' notification queue."""
    await source.fence()
    rows = await writer.execute(
        "SELECT state FROM pg_stat_activity"
        " WHERE application_name = 'anomaly-cache listener' AND datname = current_database()"
    )
    assert await rows.fetchall() == [("idle",)]


@pytest.fixture
async def session(database_url: str) -> AsyncIterator[Session]:
    """A session alone."""
    async with open_session(database_url, limit=0.2, name="test") as opened:
        yield opened


async def test_statement_is_cancelled_by_the_server_as_well(session: Session) -> None:
    """A statement past the limit is not left running in Postgres."""
    with pytest.raises((SessionLost, StatementFailed)):
        await session.run("SELECT pg_sleep(30)")
