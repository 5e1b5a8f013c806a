"""How the wired listener ends when something is wrong: with 1, and a log line that says what."""

import shutil
from collections.abc import Callable, Iterator

import pytest
import structlog
from structlog.testing import capture_logs

from listener import program
from listener.health import bind
from listener.settings import ListenerSettings
from listener.sweeper import Sweeper
from tests.support.own_servers import OwnPostgres


@pytest.fixture(autouse=True)
def fresh_logging() -> Iterator[None]:
    """Structlog as it is before anything set it up."""
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()


def settings(database_url: str, redis_url: str, cache_prefix: str = "", port: int = 0) -> ListenerSettings:
    """Return settings."""
    return ListenerSettings.model_validate(
        {
            "database_url": database_url,
            "redis_url": redis_url,
            "cache_prefix": cache_prefix,
            "listener_health_port": port,
        }
    )


async def test_a_taken_health_port_is_named() -> None:
    """Two listeners on one health port: the second says which setting is wrong."""
    with bind("127.0.0.1", 0) as taken, capture_logs() as lines:
        port = taken.getsockname()[1]
        assert await program.serve(settings("postgresql://nowhere/x", "redis://nowhere", port=port)) == 1
    assert [line["event"] for line in lines] == ["LISTENER_HEALTH_PORT cannot be used"]


async def test_a_dead_background_task_ends_it(
    migrated_url: str, redis_url: str, cache_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No part of the listener dies in silence: the others end with it."""

    async def fail(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(Sweeper, "run", fail)
    with capture_logs() as lines:
        assert await program.serve(settings(migrated_url, redis_url, cache_prefix)) == 1
    ended = next(line for line in lines if line["event"] == "task ended")
    assert ended["task"] == "sweeper"
    assert str(ended["exc_info"]) == "a fault of ours"


async def test_a_hot_standby_ends_it(
    own_postgres: Callable[..., OwnPostgres], redis_url: str, cache_prefix: str
) -> None:
    """A first server that cannot serve a listener is a mistake in the settings, which trying again does not mend."""
    postgres = own_postgres()
    postgres.stop()
    data = postgres.directory / "data"
    (data / "standby.signal").touch()
    shutil.chown(data / "standby.signal", data.owner(), data.group())
    postgres.child.start()
    with capture_logs() as lines:
        assert await program.serve(settings(postgres.url, redis_url, cache_prefix)) == 1
    refused = next(line for line in lines if line["event"] == "postgres is of no use for a listener")
    assert "point LISTENER_DATABASE_URL at the primary" in refused["reason"]
