"""`anomaly-cache invalidate` announces what a trigger would, and knows the namespaces."""

import asyncio
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from click.testing import CliRunner, Result

from anomaly_cache.cli import main
from anomaly_cache.migrate import Roles, migrate
from anomaly_cache.servers.ports import free_port


@pytest.fixture(autouse=True)
def no_env_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever .env is elsewhere is not ours."""
    monkeypatch.chdir(tmp_path)


def invalidate(namespace: str, database_url: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(main, ["invalidate", namespace], env={"DATABASE_URL": database_url})


def as_user(url: str, user: str, password: str) -> str:
    """Return the URL with another user in it."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{user}:{password}@{parts.hostname}:{parts.port}"))


def test_the_api_role_can_announce_a_known_namespace(migrated_url: str) -> None:
    """With the API's own rights the announcement goes out, and the bound is said."""
    asyncio.run(migrate(migrated_url, roles=Roles("a-password", "another")))
    with psycopg.connect(migrated_url, autocommit=True) as listening:
        listening.execute("LISTEN coherence")
        result = invalidate("anomalies", as_user(migrated_url, "anomaly_api", "a-password"))
        assert result.exit_code == 0, result.output
        assert "within 2 s" in result.output
        (notification,) = listening.notifies(timeout=5, stop_after=1)
    assert notification.payload == '{"ns": "anomalies", "op": "invalidate"}'


def test_an_unknown_namespace_lists_the_known_ones(migrated_url: str) -> None:
    """A mistyped name is not announced, and the right ones are at hand."""
    result = invalidate("anomalys", migrated_url)
    assert result.exit_code == 2
    assert "unknown namespace 'anomalys'; known: anomalies, transactions" in result.output


def test_a_database_without_the_schema_is_told_to_migrate(database_url: str) -> None:
    """An empty database is an error in one line."""
    result = invalidate("anomalies", database_url)
    assert result.exit_code == 1
    assert "coherence" in result.output
    assert "Traceback" not in result.output


def test_a_postgres_that_is_not_there_is_named_without_its_password() -> None:
    """A refused connection is an error in one line."""
    result = invalidate("anomalies", f"postgresql://app:secret@127.0.0.1:{free_port()}/shop")
    assert result.exit_code == 1
    assert "DATABASE_URL" in result.output
    assert "secret" not in result.output
    assert "Traceback" not in result.output
