"""`anomaly-cache doctor` on a deployment that runs: each thing is broken for real, and has its line."""

import json
from collections.abc import AsyncIterator, Callable
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from anomaly_cache.doctor.command import examine, exit_code
from anomaly_cache.doctor.finding import Finding, Level
from anomaly_cache.doctor.settings import dangers, load
from anomaly_cache.migrate import Roles, migrate
from tests.acceptance.conftest import start
from tests.acceptance.system import System
from tests.acceptance.test_operator_commands import command
from tests.support.own_servers import OwnPostgres, OwnValkey
from tests.support.processes import Programs
from tests.support.waiting import eventually

KEYS = "analyst=4f1c0a9b27d8e35566aa01,admin=9d0e8f7a6b5c4d3e2f1a00"


def as_role(url: str, role: str) -> str:
    """Return a database's URL for a role."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{role}:pass-of-{role}@{parts.hostname}:{parts.port}"))


class Clinic:
    """A deployment as it should be, the doctor's settings for it, and its servers to break."""

    def __init__(self, system: System, postgres: OwnPostgres, valkey: OwnValkey, patch: pytest.MonkeyPatch) -> None:
        self.system = system
        self.postgres = postgres
        self.valkey = valkey
        self.patch = patch

    async def finds(self, check: str, level: Level, *words: str) -> Finding:
        """Wait until the doctor finds this; return it."""

        async def found() -> Finding | None:
            for each in await examine(["api", "listener"]):
                text = f"{each.detail} {each.remedy}"
                if each.check.startswith(check) and each.level is level and all(word in text for word in words):
                    return each
            return None

        finding = await eventually(found, every=0.2)
        assert (finding.remedy is None) == (level is Level.OK)
        return finding

    async def sql(self, statement: str) -> None:
        """Run a statement as the superuser."""
        async with await psycopg.AsyncConnection.connect(self.postgres.url, autocommit=True) as connection:
            await connection.execute(statement.encode())


@pytest.fixture
async def clinic(
    programs: Programs,
    own_postgres: Callable[..., OwnPostgres],
    own_redis: Callable[..., OwnValkey],
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Clinic]:
    """Two API processes, a listener and a standby, as their roles, on servers of their own."""
    postgres, valkey = own_postgres(), own_redis(maxmemory="64mb", maxmemory_policy="allkeys-lru")
    await migrate(postgres.url, roles=Roles("pass-of-anomaly_api", "pass-of-anomaly_listener"))
    settings = {
        "DATABASE_URL": as_role(postgres.url, "anomaly_api"),
        "LISTENER_DATABASE_URL": as_role(postgres.url, "anomaly_listener"),
        "REDIS_URL": valkey.url,
    }
    for name, value in {**settings, "API_KEYS": KEYS}.items():
        monkeypatch.setenv(name, value)
    async with System(programs, settings["DATABASE_URL"], valkey.url, "", settings) as system:
        await start(system)
        await system.start_listener()
        yield Clinic(system, postgres, valkey, monkeypatch)


async def test_a_sound_deployment_and_one_that_loses_its_processes(clinic: Clinic) -> None:
    """Of the sound one everything is looked at, and nothing fails; then each process that is missing is found out."""
    await clinic.finds("api processes", Level.OK, "2")
    await clinic.finds("listeners", Level.OK, "1 active, 1 on standby")
    found = await examine(["api", "listener"])
    assert [each for each in found if each.level is Level.FAILING] == []
    looked_at = {
        *("settings", "api keys", "postgres", "primary", "connections", "notification queue", "long transaction"),
        *("triggers of public.anomalies", "triggers of public.transactions", "indexes", "listen"),
        *("rights of the api", "rights of the listener", "redis", "redis eviction", "redis memory"),
        *("redis persistence", "redis rights", "lease", "listeners", "api processes"),
    }
    assert looked_at <= {each.check for each in found}
    code, out, _ = await command(clinic.system, "doctor", "--json", API_KEYS=KEYS)
    assert code == 0
    assert looked_at <= {each["check"] for each in json.loads(out)}
    code, out, err = await command(clinic.system, "doctor", "--strict", API_KEYS=KEYS)
    assert (code, "redis rights" in out) == (1, True)
    assert err.startswith(f"{sum(line.startswith(Level.OK) for line in out.splitlines())} ok, ")

    other = await clinic.system.start_replica(CACHE_MAX_STALENESS_SECONDS="5")
    await clinic.finds("bound", Level.FAILING, "2 s, 5 s")
    await other.stop()
    await clinic.system.listeners[0].stop()
    await clinic.finds("listeners", Level.WARNING, "none on standby")
    clinic.system.listeners[1].pause()
    await clinic.finds("lease", Level.FAILING, "nothing is cached")
    await clinic.finds("api ", Level.FAILING, "no lease")
    await clinic.finds("listeners", Level.FAILING, "none is active")
    for replica in clinic.system.replicas[:2]:
        await replica.stop()
    await clinic.finds("api processes", Level.WARNING, "none says")


async def test_what_is_wrong_with_the_servers_is_found(clinic: Clinic) -> None:
    """Triggers, indexes, rights, long transactions, no tables; eviction, memory, ACL; servers that are down."""
    await clinic.sql("ALTER TABLE anomalies DISABLE TRIGGER USER")
    await clinic.finds("triggers of public.anomalies", Level.FAILING, "disabled", "coherence.watch")
    await clinic.finds("lease", Level.FAILING, "nothing is cached", "triggers")
    await clinic.sql("ALTER TABLE anomalies ENABLE TRIGGER USER")
    await clinic.sql("SELECT coherence.watch('public.anomalies', 'anomalies')")
    await clinic.sql("SELECT coherence.unwatch('public.transactions')")
    await clinic.finds("triggers of transactions", Level.FAILING, "never cached")

    await clinic.sql("DROP INDEX anomalies_status")
    await clinic.finds("index anomalies_status", Level.WARNING, "missing", "migrate")
    await clinic.sql("REVOKE UPDATE ON anomalies FROM anomaly_api")
    await clinic.sql("REVOKE UPDATE (status) ON anomalies FROM anomaly_api")
    await clinic.finds("rights of the api", Level.FAILING, "lacks UPDATE of anomalies.status", "GRANT anomaly_api")
    await clinic.sql("GRANT SELECT ON anomalies TO anomaly_listener")
    await clinic.finds("rights of the listener", Level.WARNING, "read anomalies")
    clinic.patch.setenv("DATABASE_URL", clinic.postgres.url)
    await clinic.finds("rights of the api", Level.WARNING, "everything", "anomaly_api")

    async with await psycopg.AsyncConnection.connect(clinic.postgres.url) as idle:
        await idle.execute("SELECT 1")
        clinic.patch.setattr("anomaly_cache.doctor.postgres.LONG_MINUTES", 0)
        await clinic.finds("long transaction", Level.WARNING, f"pg_terminate_backend({idle.info.backend_pid})")

    await clinic.sql("DROP SCHEMA coherence CASCADE")
    await clinic.finds("triggers", Level.FAILING, "schema coherence is missing", "migrate")
    clinic.postgres.stop()
    await clinic.finds("postgres", Level.FAILING, "cannot be reached", "DATABASE_URL")
    await clinic.finds("listen", Level.FAILING, "cannot reach Postgres", "LISTENER_DATABASE_URL")

    redis = clinic.system.redis
    await redis.config_set("maxmemory-policy", "noeviction")
    await clinic.finds("redis eviction", Level.WARNING, "noeviction", "allkeys-lru")
    await redis.config_set("maxmemory", 0)
    await clinic.finds("redis memory", Level.WARNING, "no limit")
    await redis.acl_setuser("default", enabled=True, commands=["-getrange"])
    await clinic.finds("redis rights", Level.FAILING, "GETRANGE", "ACL")
    await redis.acl_setuser("default", enabled=True, commands=["-info"])
    await clinic.finds("redis", Level.FAILING, "INFO")
    clinic.valkey.stop()
    await clinic.finds("redis", Level.FAILING, "does not answer", "REDIS_URL")
    await clinic.finds("lease", Level.FAILING, "does not answer")


@pytest.mark.parametrize(
    ("settings", "check", "level", "words"),
    [
        ({"API_KEYS": "analyst=change-me-please-now"}, "api keys", Level.FAILING, "openssl"),
        ({"API_KEYS": "admin=aaaaaaaaaaaaaaaaaaaa"}, "api keys", Level.FAILING, "can be guessed"),
        ({"REDIS_URL": "redis://:pw@192.0.2.1:6379/0"}, "redis connection", Level.WARNING, "rediss://"),
        ({"REDIS_URL": "rediss://192.0.2.1:6379/0"}, "redis password", Level.FAILING, "REDIS_PASSWORD"),
        ({"DATABASE_URL": "postgresql://u@192.0.2.1/d"}, "postgres connection", Level.WARNING, "sslmode"),
        ({"CACHE_TTL_SHORT": "0"}, "settings", Level.FAILING, "CACHE_TTL_SHORT"),
        ({"DB_POOL_SIZE": "4", "DB_MAX_CONCURRENT_LOADS": "4"}, "settings", Level.FAILING, "DB_MAX_CONCURRENT_LOADS"),
        ({"CACHE_ENABLED": "false"}, "cache", Level.WARNING, "CACHE_ENABLED"),
        ({"CACHE_ON_LEASE_LOSS": "ttl"}, "lease loss", Level.WARNING, "CACHE_ON_LEASE_LOSS"),
        ({"REDIS_POOL_SIZE": "1"}, "redis pool", Level.WARNING, "REDIS_POOL_SIZE"),
    ],
)
def test_dangerous_settings_are_found(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], check: str, level: Level, words: str
) -> None:
    """Those that nothing has to be connected to for; no secret is repeated."""
    usual = {"DATABASE_URL": "postgresql://u@localhost/d", "REDIS_URL": "redis://localhost/0", "API_KEYS": KEYS}
    for name, value in {**usual, **settings}.items():
        monkeypatch.setenv(name, value)
    loaded, found = load(["api", "listener"])
    found += dangers(loaded) if loaded else []
    (finding, *_) = (each for each in found if each.check == check and each.level is level)
    assert words in f"{finding.detail} {finding.remedy}"
    assert not any(secret in str(found) for secret in ("change-me-please-now", "aaaaaaaaaaaaaaaaaaaa", ":pw@"))
    assert exit_code(found, strict=False) == (0 if level is Level.WARNING else 2 if check == "settings" else 1)
