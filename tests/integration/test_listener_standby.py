"""A standby beside a holder of the lock that gives no lease, with the rights of the listener's role."""

from collections.abc import AsyncIterator, Callable

import psycopg
import pytest
from redis.asyncio import Redis

from anomaly_cache.migrate import Roles, migrate
from listener.events import Evicted, LeaseRenewed, LeaseWithheld, RoleTaken
from listener.lock import lock_key
from tests.support.listeners import Place
from tests.support.own_servers import OwnPostgres
from tests.support.waiting import eventually

PASSWORD = "only-for-this-test"


@pytest.fixture
async def postgres(own_postgres: Callable[..., OwnPostgres]) -> OwnPostgres:
    """A server with sql/ and the roles, which belong to all its databases."""
    server = own_postgres()
    await migrate(server.url, roles=Roles(PASSWORD, PASSWORD))
    return server


@pytest.fixture
def place(postgres: OwnPostgres, redis_url: str, cache_prefix: str) -> Place:
    """Where the test's listeners work, as the role that may only listen."""
    return Place(postgres.url_for("postgres", user="anomaly_listener", password=PASSWORD), redis_url, cache_prefix, 0.8)


@pytest.fixture
async def redis(place: Place) -> AsyncIterator[Redis]:
    """A client of the test's Redis."""
    async with place.connect() as client:
        yield client


async def hold(session: psycopg.AsyncConnection, place: Place) -> None:
    """Take the listeners' lock, as a listener that hangs would keep it."""
    await session.execute("SELECT pg_advisory_lock(%s)", [lock_key("here", place.prefix)])


async def test_the_listeners_role_suffices(place: Place, postgres: OwnPostgres) -> None:
    """The role that can only listen hears the writers, looks at the triggers and gives a lease."""
    async with place.listener() as running, place.bumps() as bumps:
        await running.serving()
        async with await psycopg.AsyncConnection.connect(postgres.url, autocommit=True) as writer:
            await writer.execute("SELECT coherence.invalidate('anomalies')")
        await eventually(lambda: "invalidate" in {change.cause for bump in bumps for change in bump.changes})


async def test_a_holder_without_a_lease_is_replaced(place: Place) -> None:
    """A listener that keeps the lock and gives no lease has its session ended by one that gives it."""
    async with await psycopg.AsyncConnection.connect(place.database_url, autocommit=True) as stuck:
        await hold(stuck, place)
        async with place.listener() as running:
            await running.serving()
            await eventually(lambda: running.seen(Evicted))
            assert running.seen(Evicted)[0].problem is None
            roles = [event.role for event in running.seen(RoleTaken)]
            assert roles == ["standby", "active"]
            with pytest.raises(psycopg.OperationalError):
                await stuck.execute("SELECT 1")
            async with place.listener() as second:
                await eventually(lambda: second.seen(RoleTaken))
                assert second.seen(RoleTaken)[0].role == "standby"


async def test_a_holder_that_cannot_be_ended_does_no_harm(place: Place, postgres: OwnPostgres) -> None:
    """If the holder is another role's, the standby serves without the lock, and says so."""
    async with await psycopg.AsyncConnection.connect(postgres.url, autocommit=True) as stuck:
        await hold(stuck, place)
        async with place.listener() as running:
            await running.serving()
            await running.serving()
            await eventually(lambda: running.seen(Evicted))
            assert "permission denied" in (running.seen(Evicted)[0].problem or "")
            assert running.seen(RoleTaken)[-1].role == "active"


async def test_a_holder_with_a_lease_is_left_alone(place: Place, redis: Redis) -> None:
    """As long as there is a lease, the holder is at work."""
    async with await psycopg.AsyncConnection.connect(place.database_url, autocommit=True) as working:
        await hold(working, place)
        await redis.set(place.prefix + "coherence:generation", "1700000000000000", ex=60)
        async with place.listener() as running:
            await eventually(lambda: running.seen(RoleTaken))
            await working.execute("SELECT pg_sleep(1.2)")  # three times the patience
            assert [event.role for event in running.seen(RoleTaken)] == ["standby"]
            assert not running.seen(LeaseRenewed)
            await redis.delete(place.prefix + "coherence:generation")
            await running.serving()


async def test_a_standby_that_could_not_serve_either_stays_one(place: Place, postgres: OwnPostgres) -> None:
    """Nobody is ended for a lease that nobody could give."""
    async with (
        await psycopg.AsyncConnection.connect(place.database_url, autocommit=True) as working,
        await psycopg.AsyncConnection.connect(postgres.url, autocommit=True) as owner,
    ):
        await hold(working, place)
        await owner.execute("ALTER TABLE anomalies DISABLE TRIGGER USER")
        async with place.listener() as running:
            await eventually(lambda: running.seen(LeaseWithheld))
            await working.execute("SELECT pg_sleep(1.2)")  # three times the patience
            assert [event.role for event in running.seen(RoleTaken)] == ["standby"]
            assert running.seen(LeaseWithheld)[-1].obstacle == "triggers"
            await owner.execute("SELECT coherence.watch('anomalies', 'anomalies')")
            await running.serving()


async def test_a_seat_taken_without_the_lock_is_left_again(place: Place) -> None:
    """If somebody else takes the lock meanwhile, the one that serves without it goes back to waiting."""
    async with await psycopg.AsyncConnection.connect(place.database_url, autocommit=True) as stuck:
        await hold(stuck, place)
        async with place.listener() as first, place.listener() as second:
            await eventually(lambda: first.seen(LeaseRenewed) or second.seen(LeaseRenewed))

            def one_serves() -> bool:
                roles = sorted(running.seen(RoleTaken)[-1].role for running in (first, second))
                return roles == ["active", "standby"]

            await eventually(one_serves)
