"""Every way in which a row can change, and what is no change."""

import asyncio
from collections.abc import Sequence
from functools import partial

import psycopg
import pytest
from psycopg import sql

from anomaly_cache.migrate import migrate
from tests.chaos.fleet import Fleet, MakeFleet
from tests.chaos.trial import Run, Trial
from tests.chaos.ways import (
    ATTACH,
    NO_CHANGES,
    PARTITIONED,
    PARTITIONS,
    ROW,
    STATEMENTS,
    SURROUNDINGS,
    TABLE_WRITES,
    TABLES,
    UNANNOUNCED,
    Way,
)
from tests.chaos.writer import fill
from tests.support.own_servers import ServerRoom
from tests.support.waiting import eventually

BOUND = 2.0
"""Seconds; longer than elsewhere, for everything has to be cached before each change."""

ATTEMPTS = 5


async def ready(trial: Trial) -> None:
    """All is cached, and nothing that happened before will drop it: what does is the change to come."""
    await trial.fleet.audited()
    await trial.cached()


async def each_is_shown(trial: Trial, ways: Sequence[Way]) -> None:
    """Change rows in each way, when all that shows them is cached; both replicas show it within the bound."""
    await trial.writer.pause()
    for way in ways:
        await ready(trial)
        trial.phase = way.name
        async with await trial.fleet.connect() as connection:
            await trial.writer.change(way.keys, partial(way.commit, connection), gone=way.gone)
            await trial.shown()
            await connection.execute(way.then.encode())


@pytest.mark.quick
@pytest.mark.scenario("statements")
async def test_every_statement_is_seen(make_fleet: MakeFleet, run: Run) -> None:
    """INSERT, UPDATE, DELETE, MERGE, ON CONFLICT, COPY, TRUNCATE, CTE, cascade, trigger, the poorest role."""
    fleet = await make_fleet(own_postgres=True, bound=BOUND)
    await fleet.sql(SURROUNDINGS)
    async with run(fleet) as trial, trial.fault("statements"):
        await each_is_shown(trial, STATEMENTS)


@pytest.mark.scenario("unannounced")
async def test_what_triggers_cannot_tell_is_seen(make_fleet: MakeFleet, run: Run) -> None:
    """Writes past the triggers: as a replica, with triggers off or gone, by ALTER TABLE."""
    fleet = await make_fleet(bound=BOUND)
    async with run(fleet) as trial, trial.fault("unannounced"):
        await each_is_shown(trial, UNANNOUNCED)


@pytest.mark.scenario("tables-replaced")
async def test_another_table_is_seen(make_fleet: MakeFleet, run: Run) -> None:
    """DROP and CREATE, and a table that takes the place of another."""
    fleet = await make_fleet(bound=BOUND)
    async with run(fleet) as trial, trial.fault("tables"):
        await each_is_shown(trial, TABLES)


@pytest.mark.scenario("detached-concurrently")
async def test_a_partition_that_is_being_detached_is_gone(make_fleet: MakeFleet, run: Run) -> None:
    """DETACH CONCURRENTLY hides the rows at once; it is done when the last reader from before has ended."""
    fleet = await make_fleet(bound=BOUND)
    async with run(fleet) as trial:
        await fleet.sql(PARTITIONED)
        async with trial.fault("detaching"), await fleet.connect() as owner, await fleet.connect() as reader:
            await trial.writer.pause()
            await ready(trial)
            await reader.execute("BEGIN; SELECT FROM anomalies")
            detaching = asyncio.create_task(owner.execute("ALTER TABLE anomalies DETACH PARTITION high CONCURRENTLY"))

            async def hidden() -> bool:
                async with await fleet.connect() as other:
                    cursor = await other.execute("SELECT FROM anomalies WHERE transaction_id = %s", ROW)
                    return cursor.rowcount == 0

            await trial.writer.change(ROW, lambda _: eventually(hidden, 20), gone=True)
            await trial.shown()
            assert not detaching.done()
            await reader.execute("COMMIT")
            await detaching
            await trial.writer.change(ROW, lambda version: ATTACH.commit(owner, version))
            await trial.shown()


@pytest.mark.scenario("replicated")
async def test_replicated_changes_are_seen(make_fleet: MakeFleet, run: Run, own_room: ServerRoom) -> None:
    """What a subscriber of another server's logical replication applies is announced as any change."""
    fleet = await make_fleet(own_postgres=True, bound=BOUND)
    source = own_room.postgres()
    await migrate(source.url)
    await fill(source.url)
    async with (
        run(fleet) as trial,
        await psycopg.AsyncConnection.connect(source.url, autocommit=True) as origin,
        await fleet.connect() as subscriber,
    ):
        await origin.execute("CREATE PUBLICATION changes FOR TABLE anomalies")
        await subscriber.execute(
            sql.SQL("CREATE SUBSCRIPTION here CONNECTION {} PUBLICATION changes WITH (copy_data = false)").format(
                sql.Literal(source.url)
            )
        )

        async def replicate(way: Way, version: int) -> None:
            await way.commit(origin, version)
            await eventually(lambda: applied(subscriber, way, version), within=20, every=0.002)

        async with trial.fault("replicated"):
            await trial.writer.pause()
            for way in TABLE_WRITES:
                await ready(trial)
                trial.phase = way.name
                await trial.writer.change(way.keys, partial(replicate, way), gone=way.gone)
                await trial.shown()


async def applied(connection: psycopg.AsyncConnection, way: Way, version: int) -> bool:
    """Tell whether a server shows what `way` did."""
    cursor = await connection.execute(
        "SELECT FROM anomalies WHERE transaction_id = ANY (%s) AND (%s OR reason = %s)",
        (list(way.keys), way.gone, str(version)),
    )
    return cursor.rowcount == (0 if way.gone else len(way.keys))


@pytest.mark.scenario("partitions")
async def test_partitions_are_seen(make_fleet: MakeFleet, run: Run) -> None:
    """Writes to a partition past its parent; partitions that come and go."""
    fleet = await make_fleet(bound=BOUND)
    async with run(fleet) as trial:
        await fleet.sql(PARTITIONED)
        async with trial.fault("partitions"):
            await each_is_shown(trial, PARTITIONS)


@pytest.mark.scenario("no-change")
async def test_what_changes_nothing_drops_nothing(make_fleet: MakeFleet, run: Run) -> None:
    """What was rolled back, touched no row or another table leaves every answer in the replicas' own caches."""
    fleet = await make_fleet(bound=5.0)
    async with run(fleet) as trial, await fleet.connect() as connection:
        await trial.writer.pause()
        for attempt in range(1, ATTEMPTS + 1):
            await ready(trial)
            heard = await notifications(fleet)
            trial.phase = f"no change, {attempt}"
            for statement in NO_CHANGES:
                await connection.execute(statement.encode())
            await trial.answers(20)
            # What is announced at last comes after all that was announced before.
            before = await last_announced(fleet)
            await fleet.sql("SELECT coherence.invalidate('transactions')")
            await eventually(partial(more_announced, fleet, before), 20)
            assert await notifications(fleet) == heard
            # A machine that is too busy to hear Redis in time drops what it has, which is another matter.
            if kept := {layer for _, layer in trial.oracle.tallies[trial.phase].layers} == {"l1"}:
                break
        assert kept


async def last_announced(fleet: Fleet) -> float:
    """Return how many invalidations of transactions the listener has made."""
    return await fleet.listener_metric("listener_invalidations_total", namespace="transactions")


async def more_announced(fleet: Fleet, before: float) -> bool:
    """Tell whether it has made another one."""
    return await last_announced(fleet) > before


async def notifications(fleet: Fleet) -> float:
    """Return how many notifications of changed anomalies the listener has heard."""
    name = "listener_notifications_total"
    operations = ("insert", "update", "delete", "truncate")
    return sum([await fleet.listener_metric(name, namespace="anomalies", operation=each) for each in operations])
