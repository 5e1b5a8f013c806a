"""`migrate`: from nothing to everything in place, again and again, by one or by many, with it or with psql alone."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner
from psycopg.sql import SQL, Identifier

import sql
from anomaly_cache.admin import AdminError
from anomaly_cache.commands import migrate as command
from anomaly_cache.migrate import Roles, migrate, scripts
from anomaly_cache.servers.binaries import find_psql
from anomaly_cache.servers.ports import free_port
from tests.support.hearing import listening
from tests.support.postgres import as_user, one, watched
from tests.support.waiting import eventually

FILES = Path(sql.__file__).parent
# What makes the database what it is: nothing of it may differ between a first and a second run.
SHAPE = """
    SELECT string_agg(line, E'\n' ORDER BY line) FROM (
        SELECT format('%s %s %s %s', attrelid::regclass, attname, atttypid::regtype, attnotnull) FROM pg_attribute
         WHERE attrelid::regclass::text ~ '^(coherence\\.|anomalies|transactions)' AND attnum > 0
        UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname IN ('public', 'coherence')
        UNION ALL SELECT format('%s %s', pg_get_constraintdef(oid), conrelid::regclass) FROM pg_constraint
         WHERE conrelid IN ('anomalies'::regclass, 'transactions'::regclass)
        UNION ALL SELECT format('%s %s', pg_get_triggerdef(oid), tgenabled) FROM pg_trigger
        UNION ALL SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'coherence'::regnamespace
        UNION ALL SELECT format('%s %s', oid::regprocedure, proacl) FROM pg_proc
         WHERE pronamespace = 'coherence'::regnamespace
        UNION ALL SELECT format('%s %s', table_name, namespace) FROM coherence.tables
    ) AS lines (line)
"""

WAITING = """
    SELECT count(*) FROM pg_locks AS l JOIN pg_database AS d ON d.oid = l.database
     WHERE NOT granted AND datname = current_database()
"""


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[psycopg.AsyncConnection]:
    """A session of an empty database."""
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        yield connection


async def psql(url: str, *arguments: str) -> str:
    """Run psql, which must be content, and return what it complained of."""
    binary = find_psql()
    if binary is None:
        pytest.skip("no psql here")
    process = await asyncio.create_subprocess_exec(
        str(binary), "-X", "-q", "-v", "ON_ERROR_STOP=1", *arguments, url, stderr=-1, stdout=-1
    )
    _, complaints = await process.communicate()
    assert process.returncode == 0, complaints.decode()
    return complaints.decode()


async def test_applies_every_file_in_order(database_url: str, database: psycopg.AsyncConnection) -> None:
    """From an empty database to watched tables; each file is reported, in the order of the names."""
    applied: list[str] = []
    tables = await migrate(database_url, report=applied.append)
    assert applied == sorted(path.name for path in FILES.glob("*.sql"))
    assert [(table.name, table.namespace, table.problem) for table in tables] == [
        ("public.anomalies", "anomalies", None),
        ("public.transactions", "transactions", None),
    ]
    assert all(row["ok"] for row in (await watched(database)).values())


async def test_psql_alone_does_the_same_again_and_again(database_url: str, database: psycopg.AsyncConnection) -> None:
    """A DBA with psql gets what migrate makes, file by file or in one transaction, however often."""
    names = scripts()
    for name in names:
        await psql(database_url, "-f", str(FILES / name))
    first = await one(database, SHAPE)
    for name in names:
        await psql(database_url, "-f", str(FILES / name))
    assert await one(database, SHAPE) == first
    together = [argument for name in names for argument in ("-f", str(FILES / name))]
    await psql(database_url, "-1", *together)
    assert await one(database, SHAPE) == first
    await migrate(database_url)
    assert await one(database, SHAPE) == first


async def test_psql_alone_makes_the_roles(database_url: str, database: psycopg.AsyncConnection) -> None:
    """The role scripts too are plain psql's, and may be repeated."""
    await migrate(database_url)
    for _ in range(2):
        for name in scripts("roles"):
            await psql(database_url, "-f", str(FILES / name))
    assert await one(database, "SELECT has_table_privilege('anomaly_api', 'anomalies', 'SELECT')")
    assert await one(database, "SELECT has_table_privilege('anomaly_listener', 'coherence.watched', 'SELECT')")


async def test_a_second_run_waits_for_no_writer_and_mends_what_broke(
    database_url: str, database: psycopg.AsyncConnection
) -> None:
    """With a writer's transaction open it is through at once, announces nothing and keeps the rows."""
    await migrate(database_url)
    await database.execute("INSERT INTO anomalies VALUES ('t', 'a', 1, 'EUR', 0.5)")
    async with listening(database_url) as ears, await psycopg.AsyncConnection.connect(database_url) as writer:
        await writer.execute("INSERT INTO transactions VALUES ('t', 'a', 1, 'EUR')")
        async with asyncio.timeout(4):  # less than what it would wait for a lock
            await migrate(database_url, roles=Roles())
        assert await ears.changes() == []
        await database.execute("DROP INDEX anomalies_score; DROP TRIGGER coherence_insert ON anomalies")
        await migrate(database_url)
        assert await ears.changes() == [("anomalies", "invalidate")]
    assert await one(database, "SELECT to_regclass('anomalies_score') IS NOT NULL")
    assert await one(database, "SELECT bool_and(ok) FROM coherence.watched")
    assert await one(database, "SELECT count(*) FROM anomalies") == 1


async def test_a_listener_in_the_midst_of_an_audit_is_let_finish(migrated_url: str) -> None:
    """A migration waits for one that has begun to look at the triggers, and holds nothing that it still needs."""
    async with (
        await psycopg.AsyncConnection.connect(migrated_url) as audit,
        await psycopg.AsyncConnection.connect(migrated_url, autocommit=True) as onlooker,
    ):
        await audit.execute("SELECT FROM coherence.watched WHERE false")
        migration = asyncio.create_task(migrate(migrated_url))

        async def waits() -> bool:
            return bool(await one(onlooker, WAITING))

        await eventually(waits, within=30)
        await audit.execute("SELECT FROM coherence.tables")
        assert await watched(audit)
        await audit.commit()
        assert await migration


async def test_many_at_once(database_url: str, database: psycopg.AsyncConnection) -> None:
    """Any number of deployments may migrate at the same moment, from nothing."""
    results = await asyncio.gather(*(migrate(database_url, roles=Roles("api", "listener")) for _ in range(5)))
    assert all(table.problem is None for tables in results for table in tables)
    assert await one(database, "SELECT count(*) FROM coherence.tables") == 2


async def test_needs_no_superuser(database_url: str, database: psycopg.AsyncConnection) -> None:
    """The owner of a database can migrate it, mend it and write to it."""
    name = f"owner_{uuid.uuid4().hex}"
    role = Identifier(name)
    await database.execute(SQL("CREATE ROLE {} LOGIN PASSWORD 'secret'").format(role))
    await database.execute(SQL("ALTER DATABASE {} OWNER TO {}").format(Identifier(database.info.dbname), role))
    try:
        url = as_user(database_url, name, "secret")
        for _ in range(2):
            assert all(table.problem is None for table in await migrate(url))
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as owner, listening(url) as ears:
            await owner.execute("DROP FUNCTION coherence.announce() CASCADE")
            await migrate(url)
            await ears.changes()
            await owner.execute("INSERT INTO anomalies VALUES ('t', 'a', 1, 'EUR', 0.5)")
            assert await ears.changes() == [("anomalies", "insert")]
    finally:
        await database.execute(SQL("REASSIGN OWNED BY {} TO CURRENT_USER").format(role))
        await database.execute(SQL("DROP OWNED BY {}").format(role))
        await database.execute(SQL("DROP ROLE {}").format(role))


async def test_all_or_nothing(database_url: str, database: psycopg.AsyncConnection) -> None:
    """Where a file fails, nothing of those before it stays, and the message names the file."""
    await database.execute("CREATE SCHEMA coherence; CREATE VIEW coherence.tables AS SELECT 1")
    with pytest.raises(AdminError, match=r"^Postgres refused: .* \(in sql/02[0-9]_coherence.*\.sql\)$"):
        await migrate(database_url)
    assert await one(database, "SELECT to_regclass('public.anomalies') IS NULL")


async def test_a_table_in_use_is_not_waited_for_without_end(
    database_url: str, database: psycopg.AsyncConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing trigger needs the table; behind a long transaction migrate gives up, and says why."""
    await migrate(database_url)
    await database.execute("DROP TRIGGER coherence_insert ON anomalies")
    monkeypatch.setattr("anomaly_cache.migrate.TABLE_LOCK_SECONDS", 1)
    async with await psycopg.AsyncConnection.connect(database_url) as writer:
        await writer.execute("INSERT INTO anomalies VALUES ('t', 'a', 1, 'EUR', 0.5)")
        with pytest.raises(AdminError, match=r"locked by another session.*\(in sql/030_watch.sql\)"):
            await migrate(database_url)


def run(url: str, *arguments: str, **environment: str) -> tuple[int, str]:
    """Run the command, and return its exit code and all that it said."""
    unset = {"API_DB_PASSWORD": None, "LISTENER_DB_PASSWORD": None}
    result = CliRunner().invoke(command, arguments, env={**unset, "DATABASE_URL": url, **environment})
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def test_the_command_says_what_it_did(database_url: str) -> None:
    """It names the files and the tables; it makes the roles where their passwords are given, and shows none."""
    code, said = run(database_url)
    assert code == 0
    assert "applied sql/010_tables.sql\n" in said
    assert "watching public.anomalies as anomalies: ok\n" in said
    assert "roles" not in said
    code, said = run(database_url, API_DB_PASSWORD="of the api", LISTENER_DB_PASSWORD="of the listener")
    assert code == 0
    assert "applied sql/roles/020_api.sql\n" in said
    assert "of the" not in said
    with psycopg.connect(as_user(database_url, "anomaly_api"), password="of the api") as connection:
        connection.execute("SELECT FROM public.anomalies")
    assert "roles" not in run(database_url, "--no-roles", API_DB_PASSWORD="another")[1]
    assert "roles" in run(database_url, "--roles")[1]


def test_the_command_says_what_is_wrong_in_one_line(database_url: str) -> None:
    """No server, no right, no database, no setting: one line that names DATABASE_URL, no password, no traceback."""
    with psycopg.connect(database_url) as connection:
        connection.execute("DROP ROLE IF EXISTS migrates_nothing")
        connection.execute("CREATE ROLE migrates_nothing LOGIN PASSWORD 'hush-hush'")
    for url, reason, expected in (
        (f"postgresql://postgres:hush-hush@127.0.0.1:{free_port()}/x", "connection refused", 1),
        (as_user(database_url, "migrates_nothing", "hush-hush"), "user migrates_nothing has not the right", 1),
        (f"{database_url}_absent", "does not exist", 1),
        ("http://hush-hush.example", "not a Postgres URL", 2),
        ("", "not set", 2),
    ):
        code, said = run(url)
        assert code == expected, said
        last = said.strip().splitlines()[-1]
        assert "DATABASE_URL" in last
        assert reason.lower() in last.lower()
        assert "hush-hush" not in said
        assert "Traceback" not in said
    with psycopg.connect(database_url) as connection:
        connection.execute("DROP ROLE migrates_nothing")
