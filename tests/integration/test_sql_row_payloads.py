"""What a watched table tells of the rows that changed; and that telling it never hinders the writer."""

import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from anomaly_cache.migrate import migrate
from listener.source import open_source
from tests.support.hearing import Ears, listening
from tests.support.postgres import as_user, one

COLUMNS = "{id,name,size,at}"
ROWS = "INSERT INTO items VALUES (1, 'one', 0.1, '2025-01-01 12:00+00'), (2, NULL, 'NaN', 'infinity')"
HAYSTACK = "x" * 4000


@pytest.fixture
async def writer(migrated_url: str) -> AsyncIterator[psycopg.AsyncConnection]:
    """An autocommitting session with the table `items`, of which some columns are told."""
    async with await psycopg.AsyncConnection.connect(migrated_url, autocommit=True) as connection:
        await connection.execute(f"""
            CREATE TABLE items (id integer PRIMARY KEY, name text, size float8, at timestamptz, note text);
            SELECT coherence.watch('items', 'items', '{COLUMNS}');
            {ROWS}
        """)
        yield connection


@pytest.fixture
async def ears(migrated_url: str, writer: psycopg.AsyncConnection) -> AsyncIterator[Ears]:
    """Listens from after the table was made."""
    del writer
    async with listening(migrated_url) as ears:
        yield ears


async def told(ears: Ears) -> list[dict[str, Any]]:
    """Return what was announced: the operation, and the rows by column, or why they are not told."""
    changes = []
    for payload in await ears.payloads():
        change = json.loads(payload)
        columns = change.pop("columns", ())
        if "rows" in change:
            change["rows"] = [[row and dict(zip(columns, row, strict=True)) for row in each] for each in change["rows"]]
        changes.append({key: value for key, value in change.items() if key != "ns"})
    return changes


ONE = {"id": 1, "name": "one", "size": 0.1, "at": "2025-01-01T12:00:00+00:00"}
TWO = {"id": 2, "name": None, "size": "NaN", "at": "infinity"}
CHANGES = {
    "INSERT INTO items (id, size) VALUES (3, 5e-324)": (
        "insert",
        [[None, {"id": 3, "name": None, "size": 5e-324, "at": None}]],
    ),
    "UPDATE items SET id = 4, note = 'x' WHERE id = 1": ("update", [[ONE, {**ONE, "id": 4}]]),
    "UPDATE items SET note = 'x' WHERE id = 2": ("update", [[TWO, TWO]]),
    "UPDATE items SET at = '2025-07-01 00:00:00.50-07' WHERE id = 1": (
        "update",
        [[ONE, {**ONE, "at": "2025-07-01T07:00:00.5+00:00"}]],
    ),
    "DELETE FROM items WHERE id = 2": ("delete", [[TWO, None]]),
}


@pytest.mark.parametrize("role", ["origin", "replica"])
async def test_tells_old_and_new_values(writer: psycopg.AsyncConnection, ears: Ears, role: str) -> None:
    """The columns are told as they were and as they are, in one form; nothing where there was no row."""
    await writer.execute(f"SET session_replication_role = {role}; BEGIN".encode())
    for statement, (operation, rows) in CHANGES.items():
        await writer.execute(f"{statement}; COMMIT AND CHAIN".encode())
        assert await told(ears) == [{"op": operation, "rows": rows}], statement
        await writer.execute(f"TRUNCATE items; {ROWS}; COMMIT AND CHAIN".encode())
        await ears.payloads()


async def test_what_rows_were_and_what_they_are_is_told_of_each(writer: psycopg.AsyncConnection, ears: Ears) -> None:
    """Of several rows all old values and all new ones are there, whichever is told beside which."""
    await writer.execute("UPDATE items SET id = id + 10, name = 'both'")
    (change,) = await told(ears)
    old, new = zip(*change["rows"], strict=True)
    assert sorted(old, key=_id) == [ONE, TWO]
    assert sorted(new, key=_id) == [{**ONE, "id": 11, "name": "both"}, {**TWO, "id": 12, "name": "both"}]


def _id(row: dict[str, Any]) -> int:
    return int(row["id"])


async def test_up_to_a_hundred_rows_are_told_in_a_transaction(writer: psycopg.AsyncConnection, ears: Ears) -> None:
    """However many statements they take; whatever comes after that says that rows changed, and not which."""
    insert = "INSERT INTO items (id) SELECT generate_series(%s::int, %s)"
    await writer.execute(insert, (1001, 1100))
    assert [len(change["rows"]) for change in await told(ears)] == [100]
    await writer.execute(insert, (2001, 2101))
    assert await told(ears) == [{"op": "insert", "overflow": "rows"}]
    async with writer.transaction():
        await writer.execute(insert, (3001, 3060))
        async with writer.transaction(force_rollback=True):
            await writer.execute(insert, (3061, 3100))
        await writer.execute(insert, (4001, 4040))
        await writer.execute("UPDATE items SET name = 'x' WHERE id = 1")
        await writer.execute("DELETE FROM items WHERE id = 1")
    assert [len(change.get("rows", ())) or change["overflow"] for change in await told(ears)] == [
        60,
        40,
        "rows",
        "rows",
    ]
    await writer.execute("UPDATE items SET name = 'y' WHERE id = 2")
    assert [len(change["rows"]) for change in await told(ears)] == [1]


async def test_a_payload_stays_short(writer: psycopg.AsyncConnection, ears: Ears) -> None:
    """What would be too long for NOTIFY says that rows changed, and not which; bytes count, not characters."""
    for name, fits in ((HAYSTACK, True), (2 * HAYSTACK, False), ("\N{GRINNING FACE}" * 1900, False)):
        await writer.execute("INSERT INTO items (id, name) VALUES (3, %s)", (name,))
        row = {"id": 3, "name": name, "size": None, "at": None}
        detail = {"rows": [[None, row]]} if fits else {"overflow": "bytes"}
        assert await told(ears) == [{"op": "insert", **detail}]
        await writer.execute("DELETE FROM items WHERE id = 3")
        await ears.payloads()


async def test_columns_that_are_not_told_do_not_count(writer: psycopg.AsyncConnection, ears: Ears) -> None:
    """A row may be as wide as it likes."""
    await writer.execute("UPDATE items SET note = repeat(%s, 100) WHERE id = 1", (HAYSTACK,))
    assert await told(ears) == [{"op": "update", "rows": [[ONE, ONE]]}]


NAMES = (
    "r",
    "i",
    "o",
    "n",
    "c",
    "u",
    "t",
    "columns",
    "most_rows",
    "amount",
    "namespace",
    "told",
    "old_ones",
    "payload",
)


@pytest.mark.parametrize("role", ["origin", "replica"])
async def test_a_column_may_have_any_name(writer: psycopg.AsyncConnection, ears: Ears, role: str) -> None:
    """No name of the trigger's own is mistaken for a column, or the other way about."""
    await writer.execute(
        f"""
        CREATE TABLE named (id integer, {", ".join(f'"{name}" jsonb' for name in NAMES)});
        SELECT coherence.watch('named', 'named', '{{id,r,columns}}');
        SET session_replication_role = {role}
    """.encode()
    )
    await ears.payloads()
    values = ", ".join(["""'{"id": 9, "r": 9, "columns": 9}'"""] * len(NAMES))
    insert = f"INSERT INTO named VALUES (1, {values})"  # noqa: S608 - our own
    for statement in (insert, "UPDATE named SET id = 2", "DELETE FROM named"):
        await writer.execute(statement.encode())
    document = {"id": 9, "r": 9, "columns": 9}
    first, second = ({"id": key, "r": document, "columns": document} for key in (1, 2))
    assert [change["rows"] for change in await told(ears)] == [[[None, first]], [[first, second]], [[second, None]]]


HOSTILE = """
    CREATE TYPE trap AS ENUM ('sprung');
    CREATE FUNCTION spring(trap) RETURNS json LANGUAGE plpgsql AS $$ BEGIN {body}; RETURN '1'; END $$;
    CREATE CAST (trap AS json) WITH FUNCTION spring(trap);
    ALTER TABLE traps ADD COLUMN t trap
"""


async def test_a_row_that_json_cannot_tell_does_not_hinder_the_writer(
    writer: psycopg.AsyncConnection, ears: Ears
) -> None:
    """A value that fails to become JSON: the rows are not told one by one."""
    await writer.execute("CREATE TABLE traps (id integer); SELECT coherence.watch('traps', 'traps', '{id}')")
    await writer.execute(HOSTILE.format(body="RAISE 'no'").encode())
    await ears.payloads()
    await writer.execute("INSERT INTO traps VALUES (1, 'sprung')")
    assert await told(ears) == [{"op": "insert", "overflow": "json"}]
    assert await one(writer, "SELECT count(*) FROM traps") == 1


async def test_a_type_of_a_tables_owner_gains_no_rights(
    writer: psycopg.AsyncConnection, ears: Ears, migrated_url: str
) -> None:
    """The code by which a type's values become JSON runs with the rights of the writer, and no others."""
    await writer.execute("""
        CREATE ROLE mallory LOGIN; GRANT CREATE ON SCHEMA public TO mallory;
        CREATE TABLE traps (id integer); ALTER TABLE traps OWNER TO mallory;
        SELECT coherence.watch('traps', 'traps', '{id}')
    """)
    try:
        async with await psycopg.AsyncConnection.connect(as_user(migrated_url, "mallory"), autocommit=True) as mallory:
            await mallory.execute(
                HOSTILE.format(body="CREATE TABLE public.loot AS SELECT current_user AS who").encode()
            )
            await ears.payloads()
            await mallory.execute("INSERT INTO traps VALUES (1, 'sprung')")
        assert await one(writer, "SELECT who FROM loot") == "mallory"
    finally:
        await writer.execute("DROP OWNED BY mallory CASCADE; DROP ROLE mallory")


async def test_bytes_of_no_encoding_do_not_end_the_listeners_session(postgres_url: str) -> None:
    """In a database that takes any bytes for text, the rows with such are not told one by one."""
    parts = urlsplit(postgres_url)
    url = urlunsplit(parts._replace(path="/any_bytes"))
    async with await psycopg.AsyncConnection.connect(postgres_url, autocommit=True) as server:
        await server.execute(
            "CREATE DATABASE any_bytes TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE_PROVIDER libc LOCALE 'C'"
        )
        try:
            await migrate(url)
            async with open_source(url, limit=5.0) as source:
                await source.listen()
                async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
                    await connection.execute(b"""
                        INSERT INTO anomalies (transaction_id, account_id, amount, currency, score)
                        VALUES ('a', E'\\xff', 1, 'EUR', 0.5)
                    """)
                (change,) = await source.fence()
            assert (change.namespace, change.rows, change.overflow) == ("anomalies", None, "bytes")
        finally:
            await server.execute("DROP DATABASE any_bytes WITH (FORCE)")
