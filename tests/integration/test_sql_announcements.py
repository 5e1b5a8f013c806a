"""What a watched table announces: every committed change, once, and nothing else; and it never hinders the writer."""

from collections.abc import AsyncIterator

import psycopg
import pytest

from tests.support.hearing import Ears, listening


@pytest.fixture
async def writer(migrated_url: str) -> AsyncIterator[psycopg.AsyncConnection]:
    """An autocommitting session with the watched tables `items` and, referring to it, `parts`."""
    async with await psycopg.AsyncConnection.connect(migrated_url, autocommit=True) as connection:
        await connection.execute("""
            CREATE TABLE items (id integer PRIMARY KEY, name text);
            CREATE TABLE parts (id integer, item integer REFERENCES items ON UPDATE CASCADE ON DELETE CASCADE);
            SELECT coherence.watch('items', 'items'), coherence.watch('parts', 'parts');
            INSERT INTO items VALUES (1, 'one'), (2, 'two')
        """)
        yield connection


@pytest.fixture
async def ears(migrated_url: str, writer: psycopg.AsyncConnection) -> AsyncIterator[Ears]:
    """Listens from after the tables were made."""
    del writer
    async with listening(migrated_url) as ears:
        yield ears


CHANGES = {
    "INSERT INTO items VALUES (3, 'three'), (4, 'four')": {"insert"},
    "INSERT INTO items SELECT g FROM generate_series(10, 5000) g": {"insert"},
    "UPDATE items SET name = 'same'": {"update"},
    "UPDATE items SET name = name WHERE id = 1": {"update"},
    "DELETE FROM items WHERE id = 1": {"delete"},
    "TRUNCATE items CASCADE": {"truncate"},
    "INSERT INTO items VALUES (1, 'uno') ON CONFLICT (id) DO UPDATE SET name = excluded.name": {"update"},
    "INSERT INTO items VALUES (3, 'tres') ON CONFLICT (id) DO UPDATE SET name = excluded.name": {"insert"},
    """MERGE INTO items USING (VALUES (1), (2), (9)) AS v (id) ON items.id = v.id
       WHEN MATCHED AND v.id = 1 THEN DELETE WHEN MATCHED THEN UPDATE SET name = 'merged'
       WHEN NOT MATCHED THEN INSERT VALUES (v.id, 'new')""": {"delete", "insert", "update"},
    "WITH gone AS (DELETE FROM items WHERE id = 1 RETURNING *) SELECT * FROM gone": {"delete"},
}
NO_CHANGES = (
    "INSERT INTO items SELECT 7, 'x' WHERE false",
    "UPDATE items SET name = 'x' WHERE id = 404",
    "DELETE FROM items WHERE id = 404",
    "INSERT INTO items VALUES (1, 'uno') ON CONFLICT DO NOTHING",
    "MERGE INTO items USING (VALUES (404)) AS v (id) ON items.id = v.id WHEN MATCHED THEN DELETE",
    "SELECT * FROM items FOR UPDATE",
    "VACUUM items",
    "ANALYZE items",
)


async def test_announces_each_change(writer: psycopg.AsyncConnection, ears: Ears) -> None:
    """Whatever the statement, its commit is announced with the kinds of change that it made, each once."""
    for statement, announced in CHANGES.items():
        await writer.execute("TRUNCATE items CASCADE; INSERT INTO items VALUES (1, 'one'), (2, 'two')")
        await ears.changes()
        await writer.execute(statement.encode())
        heard = [op for ns, op in await ears.changes() if ns == "items"]
        assert (len(heard), set(heard)) == (len(announced), announced), statement


async def test_is_silent_when_no_row_changed(writer: psycopg.AsyncConnection, ears: Ears) -> None:
    """A statement that touches no row invalidates nothing."""
    for statement in NO_CHANGES:
        await writer.execute(statement.encode())
        assert await ears.changes() == [], statement


async def test_announces_copy(writer: psycopg.AsyncConnection, ears: Ears) -> None:
    """COPY announces its rows, and an empty COPY nothing."""
    async with writer.cursor() as cursor:
        async with cursor.copy("COPY items FROM STDIN") as copy:
            await copy.write("3\tthree\n4\tfour\n")
        assert await ears.changes() == [("items", "insert")]
        async with cursor.copy("COPY items FROM STDIN"):
            pass
        assert await ears.changes() == []


async def test_announces_foreign_key_cascades(writer: psycopg.AsyncConnection, ears: Ears) -> None:
    """A change that a foreign key passes on to another table is announced for that one too."""
    await writer.execute("INSERT INTO parts VALUES (1, 1)")
    await ears.changes()
    await writer.execute("UPDATE items SET id = 11 WHERE id = 1")
    assert set(await ears.changes()) == {("items", "update"), ("parts", "update")}
    await writer.execute("DELETE FROM items WHERE id = 11")
    assert set(await ears.changes()) == {("items", "delete"), ("parts", "delete")}


async def test_rollback_announces_nothing(writer: psycopg.AsyncConnection, ears: Ears) -> None:
    """Neither a rolled back transaction nor a rolled back part of one is announced."""
    async with writer.transaction(force_rollback=True):
        await writer.execute("DELETE FROM items")
    assert await ears.changes() == []
    async with writer.transaction():
        await writer.execute("INSERT INTO items VALUES (3)")
        async with writer.transaction(force_rollback=True):
            await writer.execute("DELETE FROM items")
    assert await ears.changes() == [("items", "insert")]


async def test_a_transaction_announces_each_kind_once(writer: psycopg.AsyncConnection, ears: Ears) -> None:
    """A job of a thousand statements is a handful of notifications."""
    async with writer.transaction():
        await writer.execute("""
            DO $$ BEGIN FOR i IN 100..1100 LOOP
                INSERT INTO items VALUES (i); UPDATE items SET name = i WHERE id = i;
            END LOOP; END $$
        """)
    assert await ears.changes() == [("items", "insert"), ("items", "update")]


async def test_several_namespaces_of_a_table(writer: psycopg.AsyncConnection, ears: Ears) -> None:
    """A table may be watched in several namespaces; each hears of its changes, whichever was first."""
    await writer.execute("SELECT coherence.watch('items', 'a-list'), coherence.watch('items', 'items')")
    await ears.changes()
    await writer.execute("DELETE FROM items")
    assert sorted(await ears.changes()) == [("a-list", "delete"), ("items", "delete")]


async def test_invalidate(writer: psycopg.AsyncConnection, ears: Ears) -> None:
    """A change that no trigger sees can be announced by hand, of one namespace or of all."""
    await writer.execute("SELECT coherence.invalidate('orders_2024-eu'), coherence.invalidate(NULL)")
    assert await ears.changes() == [("orders_2024-eu", "invalidate"), (None, "invalidate")]
    with pytest.raises(psycopg.errors.InvalidParameterValue, match='invalid namespace "Orders"'):
        await writer.execute("SELECT coherence.invalidate('Orders')")


async def test_least_privileged_writer_with_a_hostile_search_path(
    writer: psycopg.AsyncConnection, ears: Ears, migrated_url: str
) -> None:
    """Who may write the table needs no other right, and nothing in the writer's search_path is called."""
    await writer.execute("""
        CREATE SCHEMA trap;
        CREATE FUNCTION trap.pg_notify(text, text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped'; END $$;
        CREATE FUNCTION trap.lower(text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped'; END $$;
        CREATE FUNCTION trap.octet_length(text) RETURNS integer LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped'; END $$;
        CREATE FUNCTION trap.equal(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped'; END $$;
        CREATE OPERATOR trap.= (LEFTARG = text, RIGHTARG = text, FUNCTION = trap.equal);
        CREATE TABLE trap.new_rows (a integer); CREATE TABLE trap.old_rows (a integer)
    """)
    # A role belongs to the server, which other tests use too: this one is gone with the transaction.
    async with await psycopg.AsyncConnection.connect(migrated_url) as poor:
        await poor.execute("""
            CREATE ROLE hostile_writer; GRANT USAGE ON SCHEMA trap TO hostile_writer;
            GRANT INSERT, UPDATE, DELETE, TRUNCATE ON items, parts TO hostile_writer;
            SET ROLE hostile_writer; SET search_path = trap, pg_catalog, public;
            CREATE TEMP TABLE new_rows (a integer);
            INSERT INTO public.items VALUES (3, 'three'); UPDATE public.items SET name = 'x'; DELETE FROM public.items;
            TRUNCATE public.items CASCADE;
            RESET ROLE; DROP OWNED BY hostile_writer; DROP ROLE hostile_writer
        """)
    heard = [op for ns, op in await ears.changes() if ns == "items"]
    assert heard == ["insert", "update", "delete", "truncate"]


async def test_a_payload_too_long_for_notify_means_everything(writer: psycopg.AsyncConnection, ears: Ears) -> None:
    """Where a payload would be refused, everything is announced instead, and the writer goes on."""
    await writer.execute("CREATE TABLE odd (a integer)")
    await writer.execute(
        "CREATE TRIGGER odd AFTER INSERT ON odd REFERENCING NEW TABLE AS new_rows"
        " EXECUTE FUNCTION coherence.announce('{}', '" + 9000 * "x" + "')"
    )
    await writer.execute("INSERT INTO odd VALUES (1)")
    assert await ears.changes() == [(None, "insert")]
