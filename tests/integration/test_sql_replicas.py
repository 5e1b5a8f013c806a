"""Changes that arrive by logical replication, or in sessions that behave as if they did."""

import uuid
from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

from tests.support.hearing import Ears, listening
from tests.support.postgres import one
from tests.support.waiting import eventually

TABLES = """
    CREATE TABLE items (id integer PRIMARY KEY, name text);
    CREATE TABLE tree (id integer PRIMARY KEY) PARTITION BY RANGE (id);
    CREATE TABLE leaf PARTITION OF tree FOR VALUES FROM (0) TO (100)
"""


@pytest.fixture
async def target(migrated_url: str) -> AsyncIterator[psycopg.AsyncConnection]:
    """A session of the database whose tables `items` and `tree` are watched."""
    async with await psycopg.AsyncConnection.connect(migrated_url, autocommit=True) as connection:
        await connection.execute(TABLES.encode())
        await connection.execute("SELECT coherence.watch('items', 'items'), coherence.watch('tree', 'tree')")
        yield connection


@pytest.fixture
async def ears(migrated_url: str, target: psycopg.AsyncConnection) -> AsyncIterator[Ears]:
    """Listens where the watched tables are."""
    del target
    async with listening(migrated_url) as ears:
        yield ears


@pytest.fixture
def other_database(postgres_url: str) -> Iterator[str]:
    """Another database of the same server."""
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield urlunsplit(urlsplit(postgres_url)._replace(path=f"/{name}"))
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
async def source(other_database: str, target: psycopg.AsyncConnection) -> AsyncIterator[psycopg.AsyncConnection]:
    """A session of another database, whose tables of the same names are replicated into the watched ones."""
    async with await psycopg.AsyncConnection.connect(other_database, autocommit=True) as connection:
        if await one(connection, "SHOW wal_level") != "logical":
            pytest.skip("the given server has not wal_level = logical")
        slot = f"slot_{uuid.uuid4().hex}"
        await connection.execute(TABLES.encode())
        await connection.execute("INSERT INTO items VALUES (1, 'copied at the start')")
        await connection.execute("CREATE PUBLICATION all_of_it FOR TABLE items, tree")
        # Within one server the subscription would wait for its own transaction if it made the slot.
        await connection.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [slot])
        await target.execute(
            sql.SQL(
                "CREATE SUBSCRIPTION {} CONNECTION {} PUBLICATION all_of_it WITH (create_slot = false, slot_name = {})"
            ).format(sql.Identifier(slot), sql.Literal(other_database), sql.Literal(slot))
        )
        yield connection
        await target.execute(sql.SQL("DROP SUBSCRIPTION {}").format(sql.Identifier(slot)))


async def test_replicated_changes_are_announced(
    source: psycopg.AsyncConnection, target: psycopg.AsyncConnection, ears: Ears
) -> None:
    """Logical replication fires no statement trigger; what it applies is announced all the same, and so is its copy."""

    async def settled() -> bool:
        return bool(await one(target, "SELECT bool_and(srsubstate = 'r') FROM pg_subscription_rel"))

    await eventually(settled, within=30)
    assert await ears.changes() == [("items", "insert")]
    for statement, change in {
        "INSERT INTO items VALUES (2, 'two'), (3, 'three')": ("items", "insert"),
        "UPDATE items SET name = 'x' WHERE id = 2": ("items", "update"),
        "DELETE FROM items WHERE id = 2": ("items", "delete"),
        "TRUNCATE items": ("items", "truncate"),
        "INSERT INTO tree VALUES (1)": ("tree", "insert"),
        "UPDATE tree SET id = 2": ("tree", "update"),
        "TRUNCATE tree": ("tree", "truncate"),
    }.items():
        await source.execute(statement.encode())
        assert await eventually(ears.changes, within=30) == [change], statement


async def test_sessions_in_replica_mode_are_announced(target: psycopg.AsyncConnection, ears: Ears) -> None:
    """session_replication_role = replica turns ordinary triggers off, and announcements not."""
    await target.execute("SET session_replication_role = replica")
    for statement, change in {
        "INSERT INTO items SELECT g FROM generate_series(1, 1000) g": ("items", "insert"),
        "UPDATE items SET name = 'x' WHERE id < 10": ("items", "update"),
        "DELETE FROM items": ("items", "delete"),
        "TRUNCATE items": ("items", "truncate"),
        "INSERT INTO tree VALUES (1)": ("tree", "insert"),
        "DELETE FROM leaf": ("tree", "delete"),
        "TRUNCATE tree": ("tree", "truncate"),
    }.items():
        await target.execute(statement.encode())
        assert await ears.changes() == [change], statement
    await target.execute("UPDATE items SET name = 'x' WHERE id = 404")
    assert await ears.changes() == []


async def test_ordinary_sessions_fire_no_row_trigger(target: psycopg.AsyncConnection) -> None:
    """A bulk UPDATE does not pay for the trigger that replication needs."""
    await target.execute("INSERT INTO items SELECT g FROM generate_series(1, 100) g")
    plan = await one(target, "EXPLAIN (ANALYZE, FORMAT JSON) UPDATE items SET name = 'x'")
    fired = {trigger["Trigger Name"]: trigger["Calls"] for trigger in plan[0]["Triggers"]}
    assert fired == {"coherence_update": 1}
