"""`anomaly-cache doctor` on a Postgres with which something is wrong: it has the line, and its remedy heals."""

import re
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import psycopg
import pytest

from anomaly_cache.doctor.command import examine
from anomaly_cache.doctor.finding import Level
from tests.support.clinic import MEMORY, Clinic
from tests.support.own_servers import OwnPostgres, OwnValkey, ServerRoom
from tests.support.physical_standby import hot_standby
from tests.support.pooler import transaction_pooler
from tests.support.postgres import as_user, one
from tests.support.proxy import Proxy

CONNECTIONS = 24
RESERVED = 3
PAGES = "64"
NEARLY_A_PAGE = "x" * 7000


@pytest.fixture(scope="module")
def room(server_directory: Path) -> Iterator[ServerRoom]:
    """The servers of this module."""
    directory = server_directory / "doctor-postgres"
    directory.mkdir(mode=0o711)
    made = ServerRoom(directory)
    yield made
    made.close()


@pytest.fixture(scope="module")
def small_postgres(room: ServerRoom) -> OwnPostgres:
    """A Postgres with few connections and a short notification queue."""
    return room.postgres(
        max_connections=str(CONNECTIONS), superuser_reserved_connections=str(RESERVED), max_notify_queue_pages=PAGES
    )


@pytest.fixture(scope="module")
def valkey(room: ServerRoom) -> OwnValkey:
    """A Redis with which nothing is wrong."""
    return room.valkey(**MEMORY)


@pytest.fixture
async def clinic(small_postgres: OwnPostgres, valkey: OwnValkey, monkeypatch: pytest.MonkeyPatch) -> Clinic:
    """Both, and no process. Each test leaves them as they were."""
    clinic = Clinic(small_postgres, valkey, monkeypatch)
    await clinic.open()
    return clinic


async def test_rights_of_the_api(clinic: Clinic) -> None:
    """Too few, too many, on columns too, of a stranger, of an owner, of a superuser."""
    await clinic.sql("REVOKE UPDATE (status) ON anomalies FROM anomaly_api")
    await clinic.finds("rights of the api", Level.FAILING, "lacks UPDATE (status) ON public.anomalies", "--roles")
    await clinic.migrate()
    await clinic.heals("rights of the api")

    await clinic.sql("GRANT ALL ON anomalies TO anomaly_api; GRANT SELECT (currency), INSERT ON transactions TO PUBLIC")
    found = await clinic.finds("rights of the api", Level.WARNING, "TRIGGER", "TRUNCATE", "INSERT, SELECT (currency)")
    await clinic.sql(found.remedy or "")
    await clinic.heals("rights of the api")

    await clinic.sql("CREATE ROLE stranger LOGIN")
    clinic.patch.setenv("DATABASE_URL", as_user(clinic.postgres.url, "stranger"))
    found = await clinic.finds("rights of the api", Level.FAILING, "SELECT ON public.transactions", "stranger")
    await clinic.sql(found.remedy or "")
    await clinic.heals("rights of the api")
    await clinic.sql("GRANT CREATE ON SCHEMA public TO stranger; ALTER TABLE transactions OWNER TO stranger")
    await clinic.finds("rights of the api", Level.WARNING, "DELETE", "CREATE ON SCHEMA public", "log in as anomaly_api")
    await clinic.sql("REASSIGN OWNED BY stranger TO postgres; DROP OWNED BY stranger; DROP ROLE stranger")

    clinic.patch.setenv("DATABASE_URL", clinic.postgres.url)
    await clinic.finds("rights of the api", Level.WARNING, "superuser", "set DATABASE_URL", "anomaly_api")


async def test_rights_of_the_listener(clinic: Clinic) -> None:
    """Too few, which keeps it from its work, and too many."""
    for lack in ("USAGE ON SCHEMA coherence", "SELECT ON coherence.watched", "EXECUTE ON FUNCTION coherence.audit()"):
        await clinic.sql(f"REVOKE {lack} FROM anomaly_listener")
        await clinic.finds("rights of the listener", Level.FAILING, f"lacks {lack}", "migrate --roles")
        await clinic.finds("triggers", Level.FAILING, "permission denied", "migrate --roles")
        await clinic.migrate()
    await clinic.sql("GRANT SELECT ON anomalies TO anomaly_listener")
    found = await clinic.finds("rights of the listener", Level.WARNING, "may also SELECT ON public.anomalies")
    await clinic.sql(found.remedy or "")
    await clinic.heals("rights of the listener")


async def test_triggers(clinic: Clinic) -> None:
    """Disabled, not there for a namespace, and without all that sets them."""
    await clinic.sql("ALTER TABLE anomalies DISABLE TRIGGER USER")
    found = await clinic.finds("triggers of public.anomalies", Level.FAILING, "is disabled")
    await clinic.sql(found.remedy or "")
    await clinic.heals("triggers of public.anomalies")

    await clinic.sql("SELECT coherence.unwatch('public.transactions')")
    await clinic.finds("triggers of transactions", Level.FAILING, "never cached", "run `anomaly-cache migrate`")
    await clinic.migrate()
    await clinic.heals("triggers")

    await clinic.sql("DROP SCHEMA coherence CASCADE")
    await clinic.finds("triggers", Level.FAILING, "schema coherence is missing", "migrate --roles")
    await clinic.finds("rights of the api", Level.FAILING, "missing", "migrate")
    await clinic.migrate()
    await clinic.heals("triggers")


async def test_indexes(clinic: Clinic) -> None:
    """Missing, and left half made by a statement that was given up."""
    await clinic.sql("DROP INDEX anomalies_status")
    await clinic.finds("index anomalies_status", Level.WARNING, "missing", "run `anomaly-cache migrate`")
    async with (
        await psycopg.AsyncConnection.connect(clinic.postgres.url) as writer,
        await psycopg.AsyncConnection.connect(clinic.postgres.url, autocommit=True) as builder,
    ):
        await writer.execute("LOCK TABLE anomalies IN ROW EXCLUSIVE MODE")
        await builder.execute("SET statement_timeout = '200ms'")
        with pytest.raises(psycopg.errors.QueryCanceled):
            await builder.execute("CREATE INDEX CONCURRENTLY anomalies_status ON anomalies (status)")
    found = await clinic.finds("index anomalies_status", Level.WARNING, "not valid")
    await clinic.sql(found.remedy or "")
    await clinic.heals("index")
    await clinic.sql("DROP INDEX anomalies_status")
    await clinic.migrate()
    await clinic.heals("index")


async def test_a_long_transaction_that_fills_the_queue(clinic: Clinic) -> None:
    """Somebody else's session, which our roles see all the same; who ends it, as told, lets the queue go on."""
    idle = await psycopg.AsyncConnection.connect(clinic.postgres.url, application_name="forgotten")
    end = f"SELECT pg_terminate_backend({idle.info.backend_pid})"
    await idle.execute("LISTEN something")
    await idle.commit()
    await idle.execute("SELECT 1")
    with clinic.patch.context() as patch:
        patch.setattr("anomaly_cache.doctor.server.LONG_SECONDS", 0)
        await clinic.finds("long transaction", Level.WARNING, "forgotten, idle in transaction", end)
    await clinic.finds("long transaction", Level.OK, "none of over 5 minutes; looked at 1 of 1 sessions")

    async with await psycopg.AsyncConnection.connect(clinic.postgres.url, autocommit=True) as writer:
        for level in (Level.WARNING, Level.FAILING):
            for number in range(25):
                await writer.execute("SELECT pg_notify('something', %s)", [f"{number}{NEARLY_A_PAGE}"])
            found = await clinic.finds("notification queue", level, "full", "forgotten", end)
    await clinic.sql(found.remedy or "")
    await clinic.heals("notification queue")
    await idle.close()


async def test_connections_run_out(clinic: Clinic) -> None:
    """Nearly all are in use, whoever has them; then there is none left for us."""
    async with AsyncExitStack() as stack:
        for _ in range(CONNECTIONS - RESERVED - 2):
            await stack.enter_async_context(await psycopg.AsyncConnection.connect(clinic.postgres.url))
        await clinic.finds("connections", Level.WARNING, f"of {CONNECTIONS - RESERVED} are in use", "DB_POOL_SIZE")
        for _ in range(2):
            await stack.enter_async_context(await psycopg.AsyncConnection.connect(clinic.postgres.url))
        await clinic.finds("postgres", Level.FAILING, "has no connection left", "DB_POOL_SIZE", "max_connections")
        await clinic.finds("listen", Level.FAILING, "has no connection left")
    await clinic.heals("connections")


@pytest.mark.parametrize(
    "whose", ["ROLE anomaly_api", "DATABASE postgres", "ROLE anomaly_api IN DATABASE postgres", "SYSTEM"]
)
async def test_isolation(clinic: Clinic, whose: str) -> None:
    """Another default than Postgres' own, wherever it is set, is undone as told."""
    await clinic.sql(f"ALTER {whose} SET default_transaction_isolation = 'serializable'; SELECT pg_reload_conf()")
    found = await clinic.finds("isolation", Level.WARNING, "is serializable", f"ALTER {whose}")
    await clinic.sql((found.remedy or "").partition(", unless")[0])
    await clinic.heals("isolation")
    if whose == "SYSTEM":
        await clinic.sql("ALTER SYSTEM RESET default_transaction_isolation; SELECT pg_reload_conf()")


async def test_an_old_version(clinic: Clinic) -> None:
    """A server that says it is of before those that are supported."""
    async with Proxy(as_user(clinic.postgres.url, "anomaly_api")) as proxy:
        proxy.forge = lambda answer: re.sub(rb"(server_version\x00)\d\d", rb"\g<1>14", answer)
        clinic.patch.setenv("DATABASE_URL", proxy.url)
        await clinic.finds("postgres", Level.FAILING, "version 14", "Postgres 15 or newer")


async def test_a_transaction_pooler(clinic: Clinic, server_directory: Path) -> None:
    """LISTEN does not work through it; and the doctor leaves nothing behind in the sessions that others share."""
    async with transaction_pooler(clinic.postgres.url, server_directory) as pooled:
        clinic.patch.setenv("DATABASE_URL", pooled)
        clinic.patch.setenv("LISTENER_DATABASE_URL", pooled)
        found = {each.check: each for each in await examine(["api", "listener"])}
        assert found["listen"].level is Level.FAILING
        assert "through a transaction pooler" in found["listen"].detail
        assert (found["listen"].remedy or "").startswith(
            "set LISTENER_DATABASE_URL to a URL that leads directly to Pos"
        )
        assert "set LISTENER_DATABASE_URL to log in as" in (found["rights of the listener"].remedy or "")
        assert found["postgres"].level is Level.OK
        async with await psycopg.AsyncConnection.connect(pooled, autocommit=True, prepare_threshold=None) as other:
            assert await one(other, "SHOW statement_timeout") == "0"
            assert await one(other, "SHOW synchronous_commit") == "on"
            assert await one(other, "SELECT count(*) FROM pg_listening_channels()") == 0


async def test_a_standby_and_a_server_that_is_gone(clinic: Clinic, room: ServerRoom) -> None:
    """Neither is any good for the API, or for hearing; the remedy names the variable."""
    standby = hot_standby(room, clinic.postgres, clinic.postgres.url)
    clinic.patch.setenv("DATABASE_URL", as_user(standby.url, "anomaly_api"))
    clinic.patch.setenv("LISTENER_DATABASE_URL", as_user(standby.url, "anomaly_listener"))
    await clinic.finds("primary", Level.FAILING, "it is a standby", "point DATABASE_URL at the primary")
    await clinic.finds("listen", Level.FAILING, "hot standby", "point LISTENER_DATABASE_URL at the primary")
    standby.stop()
    await clinic.finds("postgres", Level.FAILING, "cannot be reached", "start Postgres", "DATABASE_URL")
    await clinic.finds("listen", Level.FAILING, "cannot be reached", "LISTENER_DATABASE_URL")
    found = await examine(["listener"])
    assert not any(each.check.startswith(("postgres", "rights")) for each in found)
    clinic.patch.setenv("DATABASE_URL", clinic.settings["DATABASE_URL"])
    clinic.patch.delenv("LISTENER_DATABASE_URL")
    await clinic.heals("primary")
    looked_at = {each.check for each in await examine(["listener"])}
    assert {"postgres", "primary", "notification queue", "connections", "long transaction"} <= looked_at
