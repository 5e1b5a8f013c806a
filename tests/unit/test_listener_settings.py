"""The listener's settings, and the lock that they lead to."""

from pathlib import Path

import pytest

from coherence.settings import SettingsError
from coherence.timing import Timing
from listener.daemon import statement_limit
from listener.lock import lock_key
from listener.settings import ListenerSettings

URL = "postgresql://me:hidden@db:5432/app"


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No `.env` and no setting but the test's."""
    monkeypatch.chdir(tmp_path)
    for name in ListenerSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def test_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    """DATABASE_URL is all that is needed."""
    monkeypatch.setenv("DATABASE_URL", URL)
    settings = ListenerSettings.load()
    assert settings.source_url == URL
    assert (settings.listener_health_host, settings.listener_health_port) == ("127.0.0.1", 8081)


def test_a_direct_url_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """LISTENER_DATABASE_URL is where to listen; an empty one counts as unset."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://pooler/app")
    monkeypatch.setenv("LISTENER_DATABASE_URL", URL)
    assert ListenerSettings.load().source_url == URL
    monkeypatch.setenv("LISTENER_DATABASE_URL", "")
    assert ListenerSettings.load().source_url == "postgresql://pooler/app"


def test_missing() -> None:
    """Without DATABASE_URL the error names it."""
    with pytest.raises(SettingsError, match="DATABASE_URL"):
        ListenerSettings.load()


@pytest.mark.parametrize(
    "url", ["mysql://me:hidden@db/app", "postgresql://me:hidden@db:port/app", "postgresql://me:hidden@db/app?what=1"]
)
@pytest.mark.parametrize("name", ["DATABASE_URL", "LISTENER_DATABASE_URL"])
def test_wrong_url(monkeypatch: pytest.MonkeyPatch, name: str, url: str) -> None:
    """What is no Postgres URL is refused by name, without showing the password."""
    monkeypatch.setenv("DATABASE_URL", URL)
    monkeypatch.setenv(name, url)
    with pytest.raises(SettingsError) as caught:
        ListenerSettings.load()
    assert str(caught.value).startswith(f"{name}: not a Postgres URL")
    assert "hidden" not in str(caught.value)


def test_several_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of hosts, as libpq takes it, is a URL, too."""
    url = "postgresql://me@one:5432,two:5433/app?target_session_attrs=read-write"
    monkeypatch.setenv("DATABASE_URL", url)
    assert ListenerSettings.load().source_url == url


def test_secrets_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    """Printing the settings shows no password."""
    monkeypatch.setenv("DATABASE_URL", URL)
    assert "hidden" not in repr(ListenerSettings.load())


def test_lock_is_the_deployments() -> None:
    """Prefix and Redis tell deployments apart; the key is a bigint, and the same in every process."""
    keys = {lock_key(address, prefix) for address in ("a:6379/0", "a:6379/1", "b:6379/0") for prefix in ("", "x:")}
    assert len(keys) == 6
    assert all(-(2**63) <= key < 2**63 for key in keys)
    assert lock_key("a:6379/0", "") == lock_key("a:6379/0", "")


@pytest.mark.parametrize("bound", [0.5, 2.0, 60.0, 3600.0])
def test_a_hung_postgres_shows_within_the_lease(bound: float) -> None:
    """A statement's limit and the time to the next one fit into a lease."""
    timing = Timing.from_bound(bound)
    assert 0 < statement_limit(timing) <= timing.lease - timing.renew_interval
