"""The audit: coherence.watched says whether every change is announced, and betrays what happened in between."""

from collections.abc import AsyncIterator
from statistics import median
from time import perf_counter
from typing import Any

import psycopg
import pytest

from tests.support.hearing import listening
from tests.support.postgres import one, watched

ITEMS = "public.items items"


@pytest.fixture
async def owner(migrated_url: str) -> AsyncIterator[psycopg.AsyncConnection]:
    """An autocommitting session with the watched table `items`."""
    async with await psycopg.AsyncConnection.connect(migrated_url, autocommit=True) as connection:
        await connection.execute("CREATE TABLE items (id integer PRIMARY KEY, name text)")
        await connection.execute("SELECT coherence.watch('items', 'items')")
        yield connection


async def state(connection: psycopg.AsyncConnection) -> dict[str, Any]:
    """Return what coherence.watched says of `items`."""
    return (await watched(connection))[ITEMS]


async def test_all_is_well(owner: psycopg.AsyncConnection) -> None:
    """A table that was just watched is ok; ordinary life of the table and the server changes nothing of that."""
    before = await state(owner)
    assert (before["ok"], before["problem"], before["remedy"], before["relations"]) == (True, None, None, 1)
    for statement in (
        "INSERT INTO items SELECT g, 'x' FROM generate_series(1, 1000) g",
        "UPDATE items SET name = 'y'",
        "DELETE FROM items WHERE id > 10",
        "CREATE INDEX ON items (name)",
        "COMMENT ON TABLE items IS 'things'",
        "VACUUM ANALYZE items",
        "VACUUM FREEZE pg_trigger",
        "VACUUM FULL pg_trigger",
        "SELECT coherence.watch('items', 'items')",
        "SELECT coherence.invalidate('items')",
    ):
        await owner.execute(statement.encode())
        assert await state(owner) == before, statement


TROUBLE = {
    "DROP TRIGGER coherence_update ON items": "trigger coherence_update of public.items is missing",
    "ALTER TRIGGER coherence_delete ON items RENAME TO other": "trigger coherence_delete of public.items is missing",
    "ALTER TABLE items DISABLE TRIGGER coherence_insert": "trigger coherence_insert of public.items is disabled",
    "ALTER TABLE items DISABLE TRIGGER coherence_replica": "trigger coherence_replica of public.items is disabled",
    "ALTER TABLE items DISABLE TRIGGER ALL": "trigger coherence_truncate of public.items is disabled",
    "ALTER TABLE items ENABLE TRIGGER USER": "coherence_replica of public.items is enabled for the wrong kind of",
    "ALTER TABLE items ENABLE REPLICA TRIGGER coherence_insert": "is enabled for the wrong kind of session",
    "CREATE OR REPLACE TRIGGER coherence_truncate AFTER TRUNCATE ON items EXECUTE FUNCTION coherence.announce()": (
        "trigger coherence_truncate of public.items was changed"
    ),
    "CREATE OR REPLACE TRIGGER coherence_insert AFTER INSERT ON items REFERENCING NEW TABLE AS new_rows"
    " EXECUTE FUNCTION coherence.announce('itemz')": "trigger coherence_insert of public.items was changed",
    "CREATE OR REPLACE TRIGGER coherence_update AFTER UPDATE OF name ON items"
    " EXECUTE FUNCTION coherence.announce('items')": "trigger coherence_update of public.items was changed",
    "CREATE OR REPLACE TRIGGER coherence_delete AFTER DELETE ON items REFERENCING OLD TABLE AS old_rows"
    " WHEN (random() > 2) EXECUTE FUNCTION coherence.announce('items')": "coherence_delete of public.items was changed",
    "CREATE OR REPLACE TRIGGER coherence_replica BEFORE INSERT OR UPDATE OR DELETE ON items FOR EACH ROW"
    " EXECUTE FUNCTION coherence.announce('items')": "trigger coherence_replica of public.items was changed",
    "DROP TRIGGER coherence_insert ON items; CREATE CONSTRAINT TRIGGER coherence_insert AFTER INSERT ON items"
    " DEFERRABLE FOR EACH ROW EXECUTE FUNCTION coherence.announce('items')": "coherence_insert of public.items was",
    "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;"
    " CREATE OR REPLACE TRIGGER coherence_delete AFTER DELETE ON items REFERENCING OLD TABLE AS old_rows"
    " EXECUTE FUNCTION nothing('items')": "trigger coherence_delete of public.items was changed",
    "CREATE OR REPLACE FUNCTION coherence.announce() RETURNS trigger LANGUAGE plpgsql"
    " SET search_path = pg_catalog, pg_temp AS 'BEGIN RETURN NULL; END'": (
        "function coherence.announce() is missing or was changed"
    ),
    "ALTER FUNCTION coherence.announce() SECURITY DEFINER": "function coherence.announce() is missing or was changed",
    "ALTER FUNCTION coherence.announce() RESET search_path": "function coherence.announce() is missing or was changed",
    "DROP FUNCTION coherence.announce() CASCADE": "function coherence.announce() is missing or was changed",
}


async def test_tampering_shows_and_watch_mends_it(owner: psycopg.AsyncConnection, migrated_url: str) -> None:
    """Each way to lose an announcement is named, with the remedy, and the remedy makes all changes heard again."""
    async with listening(migrated_url) as ears:
        for statement, problem in TROUBLE.items():
            await owner.execute(statement.encode())
            row = await state(owner)
            assert not row["ok"], statement
            assert problem in row["problem"], statement
            assert row["remedy"] == "SELECT coherence.watch('public.items', 'items')"
            await owner.execute(row["remedy"].encode())
            assert (await state(owner))["ok"], statement
            await ears.changes()
            await owner.execute("INSERT INTO items VALUES (1); UPDATE items SET name = 'x'; DELETE FROM items")
            await owner.execute("TRUNCATE items")
            await owner.execute("SET session_replication_role = replica; INSERT INTO items VALUES (1); TRUNCATE items")
            await owner.execute("RESET session_replication_role")
            heard = [op for ns, op in await ears.changes() if ns == "items"]
            assert heard == ["insert", "update", "delete", "truncate", "insert", "truncate"], statement


async def test_what_was_undone_between_two_looks_shows(owner: psycopg.AsyncConnection) -> None:
    """What went by unannounced while a trigger was off changes the fingerprint, though all is well again."""
    seen = {(await state(owner))["fingerprint"]}
    for statement in (
        "ALTER TABLE items DISABLE TRIGGER coherence_update; ALTER TABLE items ENABLE TRIGGER coherence_update",
        "DROP TRIGGER coherence_delete ON items; SELECT coherence.watch('items', 'items')",
        "ALTER FUNCTION coherence.announce() COST 99; ALTER FUNCTION coherence.announce() COST 100",
        "ALTER TABLE items ALTER name TYPE text USING upper(name)",
        "ALTER TABLE items ADD extra integer DEFAULT 5",
        "ALTER TABLE items RENAME extra TO more",
        "ALTER TABLE items DROP more",
        "ALTER TABLE items ADD double integer GENERATED ALWAYS AS (2 * id) STORED",
        "ALTER TABLE items RENAME TO away; ALTER TABLE away RENAME TO items",
        "CREATE SCHEMA attic; ALTER TABLE items SET SCHEMA attic; ALTER TABLE attic.items SET SCHEMA public",
        "ALTER TABLE items RENAME name TO label; ALTER TABLE items RENAME label TO name",
        "TRUNCATE items",
        "VACUUM FULL items",
        "ALTER TABLE items ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY few ON items USING (id < 5)",
        "ALTER POLICY few ON items USING (true); ALTER POLICY few ON items USING (id < 5)",
        "SELECT coherence.unwatch('items'); SELECT coherence.watch('items', 'items')",
        "ALTER TABLE items RENAME TO gone; CREATE TABLE items (id integer); SELECT coherence.watch('items', 'items')",
    ):
        await owner.execute(statement.encode())
        row = await state(owner)
        assert row["ok"], statement
        assert row["fingerprint"] not in seen, statement
        seen.add(row["fingerprint"])


async def test_a_policy_that_is_gone_shows(owner: psycopg.AsyncConnection) -> None:
    """Whoever reads the table sees other rows from then on, though none has changed."""
    await owner.execute("CREATE POLICY few ON items USING (id < 5)")
    before = (await state(owner))["fingerprint"]
    await owner.execute("DROP POLICY few ON items")
    assert (await state(owner))["fingerprint"] != before


async def test_a_table_that_is_gone_shows(owner: psycopg.AsyncConnection) -> None:
    """A table that was renamed, moved or dropped is missed under the name that was watched."""
    for statement, problem in {
        "ALTER TABLE items RENAME TO things": (
            "table public.items does not exist: watch it again when it does (that one is public.things now)"
        ),
        "CREATE SCHEMA attic; ALTER TABLE things SET SCHEMA attic": (
            "table public.items does not exist: watch it again when it does (that one is attic.things now)"
        ),
        "DROP TABLE attic.things": "table public.items does not exist: watch it again when it does",
        "CREATE VIEW items AS SELECT 1 AS id": (
            "public.items is a view: watch the tables that it reads; table public.items is not the one that was watched"
        ),
    }.items():
        await owner.execute(statement.encode())
        row = await state(owner)
        assert (row["ok"], row["problem"], row["remedy"]) == (False, problem, None)


async def test_a_table_swapped_in_shows_until_watched(owner: psycopg.AsyncConnection, migrated_url: str) -> None:
    """Another table under the old name is not taken for the watched one, not even with its triggers."""
    await owner.execute(
        "CREATE TABLE fresh (id integer PRIMARY KEY, name text); SELECT coherence.watch('fresh', 'items')"
    )
    await owner.execute("ALTER TABLE items RENAME TO old; ALTER TABLE fresh RENAME TO items")
    row = await state(owner)
    assert row["problem"] == "table public.items is not the one that was watched (that one is public.old now)"
    async with listening(migrated_url) as ears:
        await owner.execute(row["remedy"].encode())
        assert (await state(owner))["ok"]
        assert await ears.changes() == [("items", "invalidate")]


async def test_a_lock_on_the_table_does_not_delay_the_audit(owner: psycopg.AsyncConnection, migrated_url: str) -> None:
    """While an ALTER TABLE holds the table, the audit answers."""
    async with await psycopg.AsyncConnection.connect(migrated_url) as busy:
        await busy.execute("LOCK TABLE items IN ACCESS EXCLUSIVE MODE")
        await owner.execute("SET statement_timeout = '5s'")
        assert (await state(owner))["ok"]


async def test_the_audit_is_cheap(owner: psycopg.AsyncConnection) -> None:
    """It is asked several times a second. A millisecond is usual; the bound allows for a busy machine."""
    owner.prepare_threshold = None
    times = []
    for _ in range(50):
        start = perf_counter()
        await one(owner, "SELECT bool_and(ok) FROM coherence.watched")
        times.append(perf_counter() - start)
    assert median(times) < 0.02
