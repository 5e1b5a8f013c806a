"""The listener's loop between a real Postgres and a real Redis."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable

import psycopg
import pytest
from redis.asyncio import Redis

from anomaly_cache.migrate import migrate
from coherence.changes import Bump, Change
from listener.events import (
    Audited,
    Bumped,
    BumpFailed,
    Disconnected,
    Event,
    LeaseRenewed,
    LeaseWithheld,
    RoleTaken,
    Swept,
)
from tests.support.listeners import Place, RunningListener
from tests.support.own_servers import OwnValkey
from tests.support.proxy import Proxy
from tests.support.waiting import eventually

INSERT = "INSERT INTO anomalies (transaction_id, account_id, amount, currency, score) VALUES (%s, 'a', 1, 'EUR', 0.5)"
WATCHED = {"anomalies", "transactions"}
REPAIR = "SELECT coherence.watch('public.anomalies', 'anomalies')"
END_LISTENERS = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
    " WHERE application_name = 'anomaly-cache listener' AND datname = current_database()"
)


@pytest.fixture
def place(migrated_url: str, redis_url: str, cache_prefix: str) -> Place:
    """Where the test's listeners work."""
    return Place(migrated_url, redis_url, cache_prefix)


@pytest.fixture
async def writer(migrated_url: str) -> AsyncIterator[psycopg.AsyncConnection]:
    """A session behind the API's back, autocommitting."""
    async with await psycopg.AsyncConnection.connect(migrated_url, autocommit=True) as connection:
        yield connection


def causes(bumps: list[Bump]) -> list[tuple[str | None, str, int]]:
    """Return the changes of the bumps, in turn."""
    return [(change.namespace, change.cause, change.notifications) for bump in bumps for change in bump.changes]


async def test_starts_with_everything_and_a_lease(place: Place) -> None:
    """What was before a listener began is unknown, so it begins with a change of everything; then it gives a lease."""
    async with place.bumps() as bumps, place.listener() as running:
        await running.serving()
        assert (await running.lease()).pttl > 1
        assert (await running.lease()).generation == bumps[-1].generation
        assert causes(bumps[:1]) == [(None, "resync", 0)]
        assert [(event.role, event.reason) for event in running.seen(RoleTaken)] == [
            ("active", "no other listener is active")
        ]


async def test_each_kind_of_write_makes_a_bump(place: Place, writer: psycopg.AsyncConnection) -> None:
    """INSERT, UPDATE, DELETE, TRUNCATE, COPY and coherence.invalidate are each told, as what they are."""
    async with place.listener() as running:
        await running.serving()
        async with place.bumps() as bumps:

            async def told(cause: str) -> None:
                await eventually(lambda: causes(bumps) == [("anomalies", cause, 1)])
                bumps.clear()

            await writer.execute(INSERT, ["t1"])
            await told("insert")
            await writer.execute("UPDATE anomalies SET status = 'DISMISSED'")
            await told("update")
            await writer.execute("DELETE FROM anomalies")
            await told("delete")
            async with writer.cursor().copy(
                "COPY anomalies (transaction_id, account_id, amount, currency, score) FROM STDIN"
            ) as copy:
                await copy.write_row(("t2", "a", 1, "EUR", 0.5))
            await told("insert")
            await writer.execute("TRUNCATE anomalies")
            await told("truncate")
            await writer.execute("SELECT coherence.invalidate('anomalies')")
            await told("invalidate")


async def test_what_changes_nothing_makes_no_bump(place: Place, writer: psycopg.AsyncConnection) -> None:
    """A rollback, and a statement that hit no row, leave the generation as it is."""
    async with place.listener() as running:
        await running.serving()
        before = (await running.lease()).generation
        async with writer.transaction(force_rollback=True):
            await writer.execute(INSERT, ["t1"])
        await writer.execute("UPDATE anomalies SET status = 'DISMISSED'")
        await running.serving()
        assert (await running.lease()).generation == before


async def test_lost_session_means_everything(place: Place, writer: psycopg.AsyncConnection) -> None:
    """A change made while no session listens is covered: after a gap everything changed, before any renewal."""
    async with place.listener() as running:
        await running.serving()
        async with place.bumps() as bumps:
            async with writer.transaction():  # ended and updated at one moment
                await writer.execute(INSERT, ["t1"])
                await writer.execute(END_LISTENERS)
            await eventually(lambda: (None, "resync", 0) in causes(bumps))
        await running.serving()
        gap = next(n for n, event in enumerate(running.events) if isinstance(event, Disconnected))
        since = [type(event) for event in running.events[gap:] if isinstance(event, Bumped | LeaseRenewed)]
        assert since[:2] == [Bumped, LeaseRenewed]


async def test_redis_gap_means_everything(place: Place, writer: psycopg.AsyncConnection) -> None:
    """A bump that Redis did not take is owed: no lease until a change of everything is told. Postgres is drained."""
    async with Proxy(place.redis_url) as proxy:
        through = Place(place.database_url, proxy.url, place.prefix)
        async with place.bumps() as bumps, through.listener() as running:
            await running.serving()
            bumps.clear()
            proxy.refuse()
            await writer.execute(INSERT, ["t1"])
            await eventually(lambda: running.seen(BumpFailed))
            renewals = len(running.seen(LeaseRenewed))
            await writer.execute(INSERT, ["t2"])
            await eventually(lambda: len(running.seen(BumpFailed)) > 2)
            assert running.seen(LeaseWithheld)[-1].obstacle == "redis"
            await proxy.accept()
            await running.serving()
            assert len(running.seen(LeaseRenewed)) > renewals
            assert causes(bumps)[0] == (None, "redis", 2)


async def test_hung_redis_costs_no_more_than_its_timeout(place: Place, writer: psycopg.AsyncConnection) -> None:
    """A Redis that answers nothing is noticed in time, and served again as soon as it is back."""
    async with Proxy(place.redis_url) as proxy:
        through = Place(place.database_url, proxy.url, place.prefix)
        async with through.listener() as running:
            await running.serving()
            proxy.stall()
            started = time.monotonic()
            await writer.execute(INSERT, ["t1"])
            await eventually(lambda: running.seen(BumpFailed))
            assert time.monotonic() - started < 2
            proxy.resume()
            await running.serving()


async def test_hung_postgres_is_noticed_within_the_lease(place: Place) -> None:
    """A Postgres that answers nothing costs the session, within the lease; the lease runs out, and comes back."""
    async with Proxy(place.database_url) as proxy:
        through = Place(proxy.url, place.redis_url, place.prefix)
        async with through.listener() as running:
            await running.serving()
            proxy.stall()
            await eventually(lambda: running.seen(Disconnected))
            assert "no answer within" in running.seen(Disconnected)[0].reason
            await running.unleased()
            proxy.resume()
            await running.serving(within=15)


def first_after(running: RunningListener, index: int, *kinds: type[Event]) -> Event:
    """Return the first event of these kinds past `index`."""
    return next(event for event in running.events[index:] if isinstance(event, kinds))


@pytest.mark.parametrize(
    ("damage", "problem", "remedy"),
    [
        ("ALTER TABLE anomalies DISABLE TRIGGER USER", "is disabled", REPAIR),
        ("DROP TRIGGER coherence_update ON anomalies", "is missing", REPAIR),
        ("ALTER TABLE anomalies ENABLE REPLICA TRIGGER coherence_update", "wrong kind", REPAIR),
        ("ALTER TABLE anomalies RENAME TO renamed", "public.anomalies does not exist", "watch it again"),
    ],
)
async def test_missing_triggers_withhold_the_lease(
    place: Place, writer: psycopg.AsyncConnection, damage: str, problem: str, remedy: str
) -> None:
    """No lease while changes can go by unseen; once repaired, first a bump of what is concerned, then the lease."""
    async with place.listener() as running:
        await running.serving()
        await writer.execute(damage.encode())
        await running.unleased()
        withheld = running.seen(LeaseWithheld)[-1]
        assert withheld.obstacle == "triggers"
        assert problem in withheld.reason
        assert remedy in withheld.reason
        if "renamed" in damage:
            await writer.execute("ALTER TABLE renamed RENAME TO anomalies")
        await writer.execute("SELECT coherence.watch('anomalies', 'anomalies')")
        await running.serving()
        last = max(n for n, event in enumerate(running.events) if isinstance(event, LeaseWithheld))
        bumped = first_after(running, last, Bumped, LeaseRenewed)
        assert isinstance(bumped, Bumped)
        assert {change.namespace for change in bumped.bump.changes} == {"anomalies"}


async def test_triggers_off_for_a_moment_are_found_out(place: Place, writer: psycopg.AsyncConnection) -> None:
    """A write under triggers that were disabled and enabled again in its transaction is told before the next lease."""
    async with place.listener() as running:
        await running.serving()
        before = running.seen(Audited)[-1].audit
        async with writer.transaction():
            await writer.execute("ALTER TABLE anomalies DISABLE TRIGGER coherence_insert")
            await writer.execute(INSERT, ["unseen"])
            await writer.execute("ALTER TABLE anomalies ENABLE TRIGGER coherence_insert")
        await running.serving()
        await running.serving()
        found = next(
            n
            for n, event in enumerate(running.events)
            if isinstance(event, Audited) and event.audit.tables != before.tables
        )
        bumped = first_after(running, found, Bumped, LeaseRenewed, LeaseWithheld)
        assert isinstance(bumped, Bumped)
        assert bumped.bump.changes == (Change("anomalies", "triggers", 0),)


async def test_nothing_watched_means_no_lease(place: Place, writer: psycopg.AsyncConnection) -> None:
    """Where no table is watched, nothing can be vouched for."""
    await writer.execute("SELECT coherence.unwatch('anomalies'), coherence.unwatch('transactions')")
    async with place.listener() as running:
        await eventually(lambda: running.seen(LeaseWithheld))
        assert "no table is watched" in running.seen(LeaseWithheld)[0].reason
        assert (await running.lease()).generation is None
        await writer.execute("SELECT coherence.watch('anomalies', 'anomalies')")
        await running.serving()


async def test_database_without_the_schema_is_waited_for(database_url: str, redis_url: str, cache_prefix: str) -> None:
    """A listener that starts before sql/ is applied says so, gives no lease, and goes on when it is."""
    async with Place(database_url, redis_url, cache_prefix).listener() as running:
        await eventually(lambda: running.seen(LeaseWithheld))
        assert "apply sql/" in running.seen(LeaseWithheld)[0].reason
        await migrate(database_url)
        await running.serving()


async def test_flushed_redis_has_a_lease_again(place: Place) -> None:
    """FLUSHALL costs the lease until the next renewal, which makes a new generation, above all earlier ones."""
    async with place.listener() as running:
        await running.serving()
        before = (await running.lease()).generation
        await running.redis.flushdb()
        await running.serving()
        after = (await running.lease()).generation
        assert before is not None
        assert after is not None
        assert after > before


async def set_text(redis: Redis, key: str) -> None:
    """Put text in the place of the generation."""
    await redis.set(key, "nonsense")


async def set_hash(redis: Redis, key: str) -> None:
    """Put a hash in the place of the generation."""
    await redis.hset(key, "a", "1")


async def set_huge(redis: Redis, key: str) -> None:
    """Put a number past all generations in the place of one."""
    await redis.set(key, "9" * 20)


@pytest.mark.parametrize("garbage", [set_text, set_hash, set_huge])
async def test_garbage_in_the_generation_key_is_repaired(
    place: Place, garbage: Callable[[Redis, str], Awaitable[None]]
) -> None:
    """A generation key of the wrong type or with garbage in it is put right at the next renewal."""
    async with place.listener() as running:
        await running.serving()
        await running.redis.delete(running.names.generation)
        await garbage(running.redis, running.names.generation)
        await running.serving()
        reading = await running.lease()
        assert reading.generation is not None
        assert reading.pttl > 0


async def test_outdated_entries_are_swept(place: Place, writer: psycopg.AsyncConnection) -> None:
    """When all of a namespace changed its outdated keys go; those of others stay, even if somebody announces them."""
    async with place.listener() as running:
        await running.serving()
        await eventually(lambda: len(running.seen(Swept)) == len(WATCHED))  # of the start
        await running.redis.set(running.names.entry("anomalies:0123"), b"old")
        await running.redis.set(running.names.entry("sessions:0123"), b"another application's")
        await writer.execute("SELECT coherence.invalidate('sessions')")
        await writer.execute("SELECT coherence.invalidate('anomalies')")

        async def gone() -> bool:
            return not await running.redis.exists(running.names.entry("anomalies:0123"))

        await eventually(gone)
        assert await running.redis.exists(running.names.entry("sessions:0123"))
        assert running.seen(Swept)[-1].namespace == "anomalies"


async def test_a_sweep_that_fails_is_tried_again(
    place: Place, writer: psycopg.AsyncConnection, own_redis: Callable[..., OwnValkey]
) -> None:
    """A Redis that forbids the sweep for a while has its outdated entries swept later."""
    frail = Place(place.database_url, own_redis().url, place.prefix)
    async with frail.listener() as running:
        await running.serving()
        await eventually(lambda: len(running.seen(Swept)) == len(WATCHED))
        await running.redis.set(running.names.entry("anomalies:0123"), b"old")
        await running.redis.acl_setuser("default", enabled=True, commands=["-scan"])
        await writer.execute("SELECT coherence.invalidate('anomalies')")
        await eventually(lambda: running.seen(Swept)[-1].problem is not None)
        await running.redis.acl_setuser("default", enabled=True, commands=["+scan"])

        async def gone() -> bool:
            return not await running.redis.exists(running.names.entry("anomalies:0123"))

        await eventually(gone)


async def test_burst_of_commits_is_few_bumps(place: Place, writer: psycopg.AsyncConnection) -> None:
    """Commits as fast as they come share bumps, and none is lost in the sum."""
    async with place.bumps() as bumps, place.listener() as running:
        await running.serving()
        bumps.clear()
        await writer.execute(
            """DO $$ BEGIN FOR n IN 1..2000 LOOP
                   INSERT INTO anomalies (transaction_id, account_id, amount, currency, score)
                   VALUES (n, 'a', 1, 'EUR', 0.5); COMMIT;
               END LOOP; END $$"""
        )
        await running.serving()
        await running.serving()
        assert sum(notifications for _, _, notifications in causes(bumps)) == 2000
        assert len(bumps) < 2000
        assert [bump.previous for bump in bumps[1:]] == [bump.generation for bump in bumps[:-1]]


async def test_stopped_listener_leaves_the_lease(place: Place) -> None:
    """What a lease vouches for stays true without the listener: the caches are not dropped when it is stopped."""
    async with place.listener() as running:
        await running.serving()
        running.listener.stop()
        assert (await running.lease()).generation is not None


async def test_deployments_in_one_database_do_not_collide(place: Place) -> None:
    """Another prefix is another deployment, with an active listener and a lease of its own."""
    other = Place(place.database_url, place.redis_url, place.prefix + "other:")
    async with place.listener() as one, other.listener() as two:
        await one.serving()
        await two.serving()


async def test_two_at_once_do_no_harm(place: Place, writer: psycopg.AsyncConnection) -> None:
    """The lock saves work, no more: with two active listeners the generation rises, and the lease stays."""
    async with place.bumps() as bumps, place.listener() as one, place.listener(lock="another") as two:
        await one.serving()
        await two.serving()
        bumps.clear()
        for n in range(20):
            await writer.execute(INSERT, [f"t{n}"])
        await one.serving()
        await two.serving()
        assert sum(notifications for _, _, notifications in causes(bumps)) == 40
        generations = [bump.generation for bump in bumps]
        assert generations == sorted(set(generations))
        assert (await one.lease()).generation == generations[-1]
        assert not one.seen(LeaseWithheld)
        assert not two.seen(LeaseWithheld)
