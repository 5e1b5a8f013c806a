"""What the two roles may do, and that nobody else gained anything."""

import json
from collections.abc import AsyncIterator

import psycopg
import pytest
from psycopg import pq

from anomaly_cache.migrate import Roles, migrate
from tests.support.hearing import listening
from tests.support.postgres import as_user, one, watched

API_PASSWORD = "of the api ' \" \\ %"
LISTENER_PASSWORD = "of the listener"


@pytest.fixture
async def owner(migrated_url: str) -> AsyncIterator[psycopg.AsyncConnection]:
    """A superuser's session of a database with the roles, and one anomaly."""
    await migrate(migrated_url, roles=Roles(API_PASSWORD, LISTENER_PASSWORD))
    async with await psycopg.AsyncConnection.connect(migrated_url, autocommit=True) as connection:
        await connection.execute("INSERT INTO anomalies VALUES ('t', 'a', 1, 'EUR', 0.5)")
        yield connection


async def connect_as(url: str, role: str, password: str) -> psycopg.AsyncConnection:
    """Log in as the role."""
    return await psycopg.AsyncConnection.connect(as_user(url, role), password=password, autocommit=True)


async def refused(connection: psycopg.AsyncConnection, *statements: str) -> None:
    """Expect that each statement is forbidden."""
    for statement in statements:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute(statement.encode())


@pytest.mark.usefixtures("owner")
async def test_the_api_reads_and_sets_the_status(migrated_url: str) -> None:
    """The API's role does what the API does, its writes are announced, and it can do nothing else."""
    async with listening(migrated_url) as ears, await connect_as(migrated_url, "anomaly_api", API_PASSWORD) as api:
        assert await one(api, "SELECT count(*) FROM anomalies") == 1
        assert await one(api, "SELECT count(*) FROM transactions") == 0
        await api.execute("UPDATE anomalies SET status = 'CONFIRMED', updated_at = now() WHERE transaction_id = 't'")
        assert await ears.changes() == [("anomalies", "update")]
        assert await one(api, "SELECT count(DISTINCT namespace) FROM coherence.tables") == 2
        await api.execute("SELECT coherence.invalidate('anomalies')")
        assert await ears.changes() == [("anomalies", "invalidate")]
        await refused(
            api,
            "UPDATE anomalies SET score = 1",
            "UPDATE transactions SET amount = 1",
            "INSERT INTO anomalies VALUES ('u', 'a', 1, 'EUR', 0.5)",
            "DELETE FROM anomalies",
            "TRUNCATE anomalies",
            "ALTER TABLE anomalies DISABLE TRIGGER coherence_update",
            "SELECT coherence.watch('anomalies', 'anomalies')",
            "SELECT coherence.unwatch('anomalies')",
            "DELETE FROM coherence.tables",
            "SELECT * FROM coherence.watched",
            "CREATE TABLE public.mine (id integer)",
            "CREATE TABLE coherence.mine (id integer)",
        )


async def test_both_see_how_long_others_have_been_in_a_transaction(
    owner: psycopg.AsyncConnection, migrated_url: str
) -> None:
    """Of any user's session, which Postgres itself does not tell them; and nothing of what it does."""
    asked = b"SELECT application, state, seconds FROM coherence.sessions() WHERE pid = %s"
    hidden = b"SELECT state, xact_start FROM pg_stat_activity WHERE pid = %s"
    pid = [owner.info.backend_pid]
    await owner.execute("SET application_name = 'batch'")
    for role, password in (("anomaly_api", API_PASSWORD), ("anomaly_listener", LISTENER_PASSWORD)):
        async with await connect_as(migrated_url, role, password) as connection:
            assert await (await connection.execute(asked, pid)).fetchall() == [("batch", "idle", None)]
            async with owner.transaction():
                await owner.execute("SELECT 1")
                ((_, state, seconds),) = await (await connection.execute(asked, pid)).fetchall()
            assert (state, seconds >= 0) == ("idle in transaction", True)
            assert await (await connection.execute(hidden, pid)).fetchall() == [(None, None)]


async def test_the_listener_listens(owner: psycopg.AsyncConnection, migrated_url: str) -> None:
    """The listener's role hears changes, sends its fence and reads the audit; of rows it sees what a change tells."""
    async with await connect_as(migrated_url, "anomaly_listener", LISTENER_PASSWORD) as listener:
        await listener.execute("LISTEN coherence")
        await owner.execute("DELETE FROM anomalies")
        await listener.execute("SELECT pg_notify('coherence', 'fence')")
        heard = [each.payload async for each in listener.notifies(timeout=5, stop_after=2)]
        assert json.loads(heard[0]).items() >= {"ns": "anomalies", "op": "delete"}.items()
        assert heard[1] == "fence"
        assert [row["ok"] for row in (await watched(listener)).values()] == [True, True]
        assert await one(listener, "SELECT pg_notification_queue_usage()") >= 0
        assert await one(listener, "SELECT pg_try_advisory_lock(1)")
        await refused(
            listener,
            "SELECT * FROM anomalies",
            "SELECT * FROM transactions",
            "UPDATE anomalies SET status = 'NEW'",
            "SELECT * FROM coherence.tables",
            "SELECT coherence.invalidate('anomalies')",
            "SELECT coherence.watch('anomalies', 'anomalies')",
            "CREATE TABLE public.mine (id integer)",
        )


async def test_the_public_gained_nothing(owner: psycopg.AsyncConnection) -> None:
    """No right on anything of ours is PUBLIC's."""
    granted = await owner.execute("""
        SELECT p.oid::regprocedure::text FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
         WHERE p.pronamespace = 'coherence'::regnamespace AND a.grantee = 0
        UNION ALL
        SELECT c.oid::regclass::text FROM pg_class c, aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) a
         WHERE c.relnamespace IN ('coherence'::regnamespace, 'public'::regnamespace) AND a.grantee = 0
        UNION ALL
        SELECT n.nspname FROM pg_namespace n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
         WHERE n.nspname = 'coherence' AND a.grantee = 0
    """)
    assert await granted.fetchall() == []


async def test_passwords_are_needed_to_log_in_and_kept_secret(
    owner: psycopg.AsyncConnection, migrated_url: str
) -> None:
    """Without a new password the roles stay as they are; passwords are stored as hashes, and no repr shows them."""
    before = await one(owner, "SELECT rolpassword FROM pg_authid WHERE rolname = 'anomaly_listener'")
    assert before.startswith("SCRAM-SHA-256$")
    await migrate(migrated_url, roles=Roles())
    assert await one(owner, "SELECT rolpassword FROM pg_authid WHERE rolname = 'anomaly_listener'") == before
    assert LISTENER_PASSWORD not in repr(Roles(API_PASSWORD, LISTENER_PASSWORD))
    async with await connect_as(migrated_url, "anomaly_api", API_PASSWORD) as api:
        assert api.info.transaction_status == pq.TransactionStatus.IDLE
