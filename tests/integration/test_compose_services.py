"""compose.yaml's services do what they are there for: each is started by its own command, environment and check.

They run as local processes, with nothing in their environment but what compose.yaml puts there; names and ports of
the containers' network are translated to this machine's.
"""

import copy
import functools
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.support.compose_file import load_compose
from tests.support.local_compose import Container, LocalCompose
from tests.support.waiting import eventually

ANALYST = "an-analyst's-key-of-24-characters"
SECRETS = {
    "POSTGRES_PASSWORD": "p@ss/w:rd?#%20 'of'\"postgres\"",
    "API_DB_PASSWORD": "$HOME `and` \\backslash & the API's @:/",
    "LISTENER_DB_PASSWORD": "listener;|<>(){}[]*~!^",
    "CACHE_REDIS_PASSWORD": 'cache\'s "secret" of $HOME #>~&* \\',
    "CACHE_PREFIX": "v1:",
    "REDIS_PASSWORD": 'redis\' "quoted" $PATH `x` #',
    "API_KEYS": f"analyst={ANALYST},admin=an-admin's-key-of-24-characters",
    "GRAFANA_ADMIN_PASSWORD": "grafana",
    "SEED_ROWS": "300",
}
USER = "anomaly-cache"
PAGE = "/api/v1/anomalies?limit=10"
Running = dict[str, list[Container]]


@pytest.fixture(scope="module")
def directory(server_directory: Path) -> Iterator[Path]:
    """A directory for everything here; the account of Postgres can enter it."""
    path = server_directory / f"compose-{uuid.uuid4().hex[:8]}"
    path.mkdir(mode=0o711)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def compose(directory: Path) -> Iterator[LocalCompose]:
    """compose.yaml with passwords of every awkward character."""
    local = LocalCompose(directory, load_compose(SECRETS)["services"])
    yield local
    local.close()


@pytest.fixture(scope="module")
def running(compose: LocalCompose) -> Running:
    """Everything up, in the order of health, and seeded."""
    started = compose.up()
    compose.run("seed")
    return started


@pytest.fixture
def superuser(compose: LocalCompose, running: Running) -> Iterator[psycopg.Connection[Any]]:
    """A psql of sorts."""
    assert running
    with psycopg.connect(
        host="127.0.0.1",
        port=compose.postgres_port,
        user="postgres",
        password=SECRETS["POSTGRES_PASSWORD"],
        dbname="anomalies",
        autocommit=True,
    ) as connection:
        yield connection


def test_everything_starts_and_is_healthy(running: Running) -> None:
    """Each service comes up by its own command, and its health check says so: two listeners, two API replicas."""
    assert {name: len(containers) for name, containers in running.items()} == {
        "postgres": 1,
        "redis": 1,
        "listener": 2,
        "api": 2,
    }
    assert [
        container.service for containers in running.values() for container in containers if not container.healthy()
    ] == []


def test_one_listener_is_active(running: Running) -> None:
    """Of the two listeners one is active and one on standby."""
    said = [httpx2.get(f"http://127.0.0.1:{one.port}/metrics", trust_env=False).text for one in running["listener"]]
    active = [text.split("\nlistener_active ")[1].split()[0] for text in said]
    assert sorted(active) == ["0.0", "1.0"]


def test_programs_log_in_as_the_roles_made_for_them(running: Running, superuser: psycopg.Connection[Any]) -> None:
    """The API and the listeners hold sessions of their own least-privileged roles, and no others."""
    assert running
    rows = superuser.execute(
        "SELECT DISTINCT usename FROM pg_stat_activity WHERE datname = 'anomalies' AND pid <> pg_backend_pid()"
    ).fetchall()
    assert sorted(name for (name,) in rows) == ["anomaly_api", "anomaly_listener"]


async def test_caches_and_hears_of_changes(running: Running, superuser: psycopg.Connection[Any]) -> None:
    """A miss, then hits; an UPDATE in psql reaches both replicas within the bound."""
    replicas = [api_client(container) for container in running["api"]]
    ways = [replicas[0].get(f"{PAGE}&min_score=0.25").headers["cache-status"] for _ in range(2)]
    assert "fwd=uri-miss" in ways[0]
    assert "; hit; " in ways[1]
    identity = replicas[0].get(PAGE).json()["anomalies"][0]["transaction_id"]
    for client in replicas:
        client.get(PAGE)
    superuser.execute("UPDATE anomalies SET status = 'CONFIRMED' WHERE transaction_id = %s", [identity])
    for client in replicas:
        await eventually(functools.partial(says, client, identity, "CONFIRMED"), within=2)
        client.close()


def test_redis_wants_the_password_of_env(compose: LocalCompose, running: Running) -> None:
    """Redis runs with the seed's limits, and lets nobody in without REDIS_PASSWORD."""
    assert running
    with (
        redis.Redis(port=compose.redis_port, retry=Retry(NoBackoff(), 0)) as stranger,
        pytest.raises(redis.AuthenticationError),
    ):
        stranger.ping()
    with redis.Redis(port=compose.redis_port, password=SECRETS["REDIS_PASSWORD"]) as client:
        settings: dict[str, str] = client.config_get("maxmemory*", "appendonly")
    assert settings["maxmemory"] == str(256 * 2**20)
    assert settings["maxmemory-policy"] == "allkeys-lru"
    assert settings["appendonly"] == "yes"


async def test_programs_may_do_no_more_in_redis_than_they_must(compose: LocalCompose, running: Running) -> None:
    """They are logged in as a user of their own, which was refused nothing so far, and cannot look round or destroy."""
    replica = api_client(running["api"][0])

    def stored() -> list[bytes]:
        replica.get(f"{PAGE}&min_score=0.75")
        found: list[bytes] = operator.keys("v1:anomalies:*")
        return found

    with redis.Redis(port=compose.redis_port, password=SECRETS["REDIS_PASSWORD"]) as operator, replica:
        await eventually(stored)
        users = [client["user"] for client in operator.client_list()]
        assert set(users) == {"default", USER}
        assert users.count("default") == 1
        refused = [entry for entry in operator.acl_log() if entry["username"] == USER]
        assert refused == []
    with redis.Redis(
        port=compose.redis_port, username=USER, password=SECRETS["CACHE_REDIS_PASSWORD"], driver_info=None
    ) as program:
        for command in (("FLUSHALL",), ("CONFIG", "GET", "*"), ("GET", "anomalies:0"), ("SET", "v1:other", "1")):
            with pytest.raises(redis.exceptions.NoPermissionError):
                program.execute_command(*command)


def test_redis_needs_no_password(directory: Path) -> None:
    """With an empty REDIS_PASSWORD Redis is open, and its health check works as well."""
    without = {**SECRETS, "REDIS_PASSWORD": ""}
    own = directory / "open"
    own.mkdir(mode=0o711)
    local = LocalCompose(own, load_compose(without)["services"])
    try:
        container = local.start("redis")
        container.child.until(container.healthy, within=10)
        with redis.Redis(port=local.redis_port) as client:
            assert client.ping()
    finally:
        local.close()


def test_migrate_may_run_again(compose: LocalCompose, running: Running) -> None:
    """Each `docker compose up` runs the migration: it finds everything in place, and nobody notices."""
    assert running
    assert "ok" in compose.run("migrate")
    assert all(container.healthy() for container in running["api"])


@pytest.mark.parametrize("service", ["listener", "api"])
def test_a_health_check_fails_where_nothing_answers(compose: LocalCompose, running: Running, service: str) -> None:
    """A health check asks the service: once that has ended, it fails."""
    assert running
    container = compose.start(service)
    container.child.until(container.healthy, within=15)
    assert container.child.stop() == 0
    assert not container.healthy()


@pytest.mark.parametrize(
    ("service", "break_it"),
    [
        ("api", lambda it: it.update(command=["apis"])),
        ("api", lambda it: it["environment"].pop("DATABASE_URL")),
        ("api", lambda it: it["environment"].pop("API_KEYS")),
        ("listener", lambda it: it["environment"].pop("DATABASE_URL")),
        ("migrate", lambda it: it["environment"].pop("PGPASSWORD")),
        ("migrate", lambda it: it["environment"].update(DATABASE_URL="postgresql://postgres@postgre:5432/anomalies")),
        ("migrate", lambda it: it["environment"].update(DATABASE_URL="postgresql://postgres@postgres:5433/anomalies")),
    ],
    ids=["command", "api-url", "api-keys", "listener-url", "password", "host", "port"],
)
def test_a_mistake_in_the_file_is_found(
    compose: LocalCompose, running: Running, service: str, break_it: Callable[[Any], None]
) -> None:
    """What these tests start is what the file says: a wrong command, a variable that is missing or wrong ends it."""
    assert running
    broken = copy.deepcopy(compose.services[service])
    break_it(broken)
    container = compose.start(service, broken)
    assert container.child.wait(within=15) not in {0, None}


def test_programs_end_within_their_grace(compose: LocalCompose, running: Running) -> None:
    """SIGTERM ends one more API and listener with exit code 0, sooner than compose would kill them."""
    assert running
    for name in ("api", "listener"):
        container = compose.start(name)
        container.child.until(container.healthy, within=15)
        grace = float(compose.services[name]["stop_grace_period"].removesuffix("s"))
        assert container.child.stop(within=grace) == 0


def api_client(container: Container) -> httpx2.Client:
    """Return a client of one replica, with the analyst's key."""
    return httpx2.Client(
        base_url=f"http://127.0.0.1:{container.port}", headers={"X-API-Key": ANALYST}, timeout=10, trust_env=False
    )


def says(client: httpx2.Client, identity: str, status: str) -> bool:
    """Whether a replica shows an anomaly with this status."""
    rows = client.get(PAGE).json()["anomalies"]
    return any(row["transaction_id"] == identity and row["status"] == status for row in rows)
