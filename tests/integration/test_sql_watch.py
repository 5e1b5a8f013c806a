"""coherence.watch and coherence.unwatch: what they take, what they refuse, and how little they disturb."""

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest

from tests.support.hearing import listening
from tests.support.postgres import one, watched


@pytest.fixture
async def owner(migrated_url: str) -> AsyncIterator[psycopg.AsyncConnection]:
    """An autocommitting session with a table `items` that is not watched."""
    async with await psycopg.AsyncConnection.connect(migrated_url, autocommit=True) as connection:
        await connection.execute("CREATE TABLE items (id integer PRIMARY KEY)")
        yield connection


async def forbidden(connection: psycopg.AsyncConnection, statement: str, reason: str) -> None:
    """Expect that Postgres refuses the statement for want of a right."""
    async with connection.transaction(force_rollback=True):
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match=reason):
            await connection.execute(statement.encode())


async def test_namespaces(owner: psycopg.AsyncConnection) -> None:
    """A namespace is a letter of a-z, then letters, digits, _ and -; `coherence` is reserved."""
    for bad in ("", "Items", "1items", "-items", "items:all", "it ems", "items\n", "ítems", "coherence", "x" * 64):
        with pytest.raises(psycopg.errors.InvalidParameterValue, match="invalid namespace"):
            await owner.execute("SELECT coherence.watch('items', %s)", [bad])
    for good in ("i", "items_2-eu", "coherence-2", "x" * 63):
        await owner.execute("SELECT coherence.watch(relation => 'items', namespace => %s)", [good])
    assert all(row["ok"] for row in (await watched(owner)).values())


async def test_refuses_what_triggers_cannot_watch(owner: psycopg.AsyncConnection) -> None:
    """Views, foreign, temporary and system tables are refused in words, and nothing is left behind."""
    await owner.execute("""
        CREATE VIEW seen AS SELECT * FROM items; CREATE MATERIALIZED VIEW kept AS SELECT * FROM items;
        CREATE FOREIGN DATA WRAPPER nowhere; CREATE SERVER far FOREIGN DATA WRAPPER nowhere;
        CREATE FOREIGN TABLE abroad (id integer) SERVER far; CREATE SEQUENCE counter;
        CREATE TEMP TABLE brief (id integer)
    """)
    before = await watched(owner)
    for name, problem in {
        "seen": "public.seen is a view: watch the tables that it reads",
        "kept": "public.kept is a view: watch the tables that it reads",
        "abroad": "public.abroad is a foreign table: another server changes it unseen",
        "counter": "public.counter is not a table",
        "items_pkey": "public.items_pkey is not a table",
        "brief": "is a temporary table: only its own session sees it",
        "pg_class": "pg_catalog.pg_class is a system table: it takes no triggers",
    }.items():
        with pytest.raises(psycopg.errors.WrongObjectType, match=f"^cannot watch: .*{problem}"):
            await owner.execute("SELECT coherence.watch(%s, 'items')", [name])
    with pytest.raises(psycopg.errors.NullValueNotAllowed):
        await owner.execute("SELECT coherence.watch(NULL, 'items')")
    assert await watched(owner) == before


async def test_odd_names(owner: psycopg.AsyncConnection) -> None:
    """Names that need quotes are watched, shown and given up like any other."""
    await owner.execute('CREATE SCHEMA "Odd one"; CREATE TABLE "Odd one"."it\'s %s" (id integer)')
    await owner.execute("""SELECT coherence.watch('"Odd one"."it''s %s"', 'odd')""")
    row = (await watched(owner))['"Odd one"."it\'s %s" odd']
    assert row["ok"]
    await owner.execute('ALTER TABLE "Odd one"."it\'s %s" DISABLE TRIGGER ALL')
    await owner.execute((await watched(owner))['"Odd one"."it\'s %s" odd']["remedy"].encode())
    assert await one(owner, "SELECT coherence.unwatch(%s)", [row["table_name"]])


async def test_watching_announces_a_change_only_if_something_was_wrong(
    owner: psycopg.AsyncConnection, migrated_url: str
) -> None:
    """What went by before a table was watched is made up for; to watch once more is no event."""
    async with listening(migrated_url) as ears:
        await owner.execute("SELECT coherence.watch('items', 'items')")
        assert await ears.changes() == [("items", "invalidate")]
        await owner.execute("SELECT coherence.watch('items', 'items')")
        assert await ears.changes() == []


async def test_watching_again_waits_for_nobody(owner: psycopg.AsyncConnection, migrated_url: str) -> None:
    """Where all is well, watch takes no lock that a writer's transaction could hold up."""
    await owner.execute("SELECT coherence.watch('items', 'items')")
    async with await psycopg.AsyncConnection.connect(migrated_url) as writer:
        await writer.execute("INSERT INTO items VALUES (1)")
        await owner.execute("SET lock_timeout = '1s'; SELECT coherence.watch('items', 'items')")
        await owner.execute("ALTER TABLE anomalies DISABLE TRIGGER coherence_insert")
        await owner.execute("SELECT coherence.watch('anomalies', 'anomalies')")


async def test_many_may_watch_a_table_at_once(owner: psycopg.AsyncConnection, migrated_url: str) -> None:
    """Several sessions watch one table in namespaces of their own at the same time; none undoes another's work."""

    async def watch(namespace: str) -> None:
        async with await psycopg.AsyncConnection.connect(migrated_url, autocommit=True) as connection:
            await connection.execute("SELECT coherence.watch('items', %s)", [namespace])

    await asyncio.gather(*(watch(f"n{number}") for number in range(8)))
    rows = {name: row["ok"] for name, row in (await watched(owner)).items() if name.startswith("public.items ")}
    assert rows == {f"public.items n{number}": True for number in range(8)}


async def test_unwatch_finds_the_table(owner: psycopg.AsyncConnection) -> None:
    """A name without a schema is looked up like any other; a table that is gone is found by the name it had."""
    await owner.execute(
        "CREATE SCHEMA a; CREATE SCHEMA b; CREATE TABLE a.t (id integer); CREATE TABLE b.t (id integer)"
    )
    await owner.execute(
        "SELECT coherence.watch('a.t', 'a'), coherence.watch('b.t', 'b'), coherence.watch('items', 'i')"
    )

    async def left() -> set[str]:
        return set(await watched(owner)) - {"public.anomalies anomalies", "public.transactions transactions"}

    with pytest.raises(psycopg.errors.AmbiguousAlias, match="table t is watched in several schemas: a, b"):
        await owner.execute("SELECT coherence.unwatch('t')")
    await owner.execute("SET search_path = public, b")
    assert await one(owner, "SELECT coherence.unwatch('t')")
    assert await left() == {"a.t a", "public.items i"}
    assert not await one(owner, "SELECT coherence.unwatch('t')"), "that is b.t, which is not watched any more"
    await owner.execute("DROP TABLE a.t, b.t")
    assert await one(owner, "SELECT coherence.unwatch('t')")
    assert not await one(owner, "SELECT coherence.unwatch('t')")
    await owner.execute("DROP TABLE items")
    assert await one(owner, "SELECT coherence.unwatch('public.items')")
    assert await left() == set()
    for bad in ("a.b.c", "a..b", ""):
        with pytest.raises(psycopg.Error, match=r"invalid table name|not a valid identifier"):
            await owner.execute("SELECT coherence.unwatch(%s)", [bad])


async def test_unwatch_follows_a_renamed_table(owner: psycopg.AsyncConnection) -> None:
    """To give up the old name takes the triggers off the table that bears a new one."""
    await owner.execute("SELECT coherence.watch('items', 'items'), coherence.watch('items', 'more')")
    await owner.execute("ALTER TABLE items RENAME TO things")
    assert await one(owner, "SELECT coherence.unwatch('items')")
    assert await one(owner, "SELECT count(*) FROM pg_trigger WHERE tgrelid = 'things'::regclass") == 0


async def test_only_the_owner_watches(owner: psycopg.AsyncConnection) -> None:
    """Both run with the caller's rights, and nobody has any who was not given them."""
    # A role belongs to the server, which other tests use too: this one is gone with the transaction.
    async with owner.transaction(force_rollback=True):
        await owner.execute("CREATE ROLE nosy; GRANT USAGE ON SCHEMA coherence TO nosy; GRANT ALL ON items TO nosy")
        await owner.execute("SET LOCAL ROLE nosy")
        for call in (
            "SELECT coherence.watch('items', 'items')",
            "SELECT coherence.unwatch('items')",
            "SELECT coherence.forget('items', '{public}')",
            "SELECT coherence.repair('items')",
            "SELECT coherence.invalidate('items')",
            "SELECT * FROM coherence.audit()",
            "SELECT * FROM coherence.watched",
            "SELECT * FROM coherence.tables",
            "DELETE FROM coherence.functions",
        ):
            await forbidden(owner, call, "permission denied")
        await owner.execute("RESET ROLE; GRANT ALL ON ALL TABLES IN SCHEMA coherence TO nosy")
        await owner.execute("GRANT ALL ON ALL FUNCTIONS IN SCHEMA coherence TO nosy; SET LOCAL ROLE nosy")
        await forbidden(owner, "SELECT coherence.watch('items', 'items')", "must be owner of table items")
