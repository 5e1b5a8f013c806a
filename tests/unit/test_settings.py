"""The settings that every process shares."""

from pathlib import Path

import pytest

from coherence.redis_client import connect
from coherence.settings import CoherenceSettings, SettingsError

NAMES = tuple(field.upper() for field in CoherenceSettings.model_fields)


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An environment without any of the settings, in an empty directory."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def test_without_anything_set_the_defaults_hold() -> None:
    """The promise is two seconds, Redis is at home."""
    settings = CoherenceSettings.load()
    assert settings.redis_url is None
    assert (settings.redis_host, settings.redis_port, settings.redis_db) == ("localhost", 6379, 0)
    assert settings.redis_pool_size == 10
    assert settings.redis_timeout_ms == 250
    assert settings.cache_prefix == ""
    assert settings.cache_max_staleness_seconds == 2.0
    assert (settings.log_level, settings.log_format) == ("INFO", "json")


def test_the_environment_sets_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is the variable of its name; an empty one counts as unset."""
    monkeypatch.setenv("REDIS_URL", "rediss://:hush@cache.example:6380/2")
    monkeypatch.setenv("CACHE_MAX_STALENESS_SECONDS", "0.5")
    monkeypatch.setenv("CACHE_PREFIX", "blue:")
    monkeypatch.setenv("LOG_LEVEL", "debug")
    monkeypatch.setenv("REDIS_PORT", "")
    settings = CoherenceSettings.load()
    assert settings.redis_url is not None
    assert settings.redis_url.get_secret_value() == "rediss://:hush@cache.example:6380/2"
    assert settings.cache_max_staleness_seconds == 0.5
    assert settings.cache_prefix == "blue:"
    assert settings.log_level == "DEBUG"
    assert settings.redis_port == 6379


def test_the_env_file_sets_them_and_the_environment_goes_before(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A .env is read where the program starts; others' variables in it are nobody's business here."""
    (tmp_path / ".env").write_text("REDIS_DB=3\nREDIS_HOST=from-file\nSOMETHING_ELSE=1\n")
    monkeypatch.setenv("REDIS_HOST", "from-environment")
    settings = CoherenceSettings.load()
    assert settings.redis_db == 3
    assert settings.redis_host == "from-environment"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REDIS_URL", "http://cache.example"),
        ("REDIS_URL", "not a url"),
        ("REDIS_URL", "redis://cache.example/first"),
        ("REDIS_URL", "redis://cache.example/0?socket_timeout=long"),
        ("REDIS_URL", "redis://cache.example/0?no_such_option=1"),
        ("REDIS_URL", "rediss://cache.example/0?ssl_cert_reqs=perhaps"),
        ("REDIS_PORT", "0"),
        ("REDIS_PORT", "many"),
        ("REDIS_DB", "-1"),
        ("REDIS_POOL_SIZE", "0"),
        ("REDIS_TIMEOUT_MS", "1"),
        ("CACHE_PREFIX", "a*b"),
        ("CACHE_PREFIX", "with blank"),
        ("CACHE_MAX_STALENESS_SECONDS", "0.49"),
        ("CACHE_MAX_STALENESS_SECONDS", "nan"),
        ("CACHE_MAX_STALENESS_SECONDS", "inf"),
        ("LOG_LEVEL", "LOUD"),
        ("LOG_FORMAT", "xml"),
    ],
)
def test_a_wrong_value_is_refused_by_its_variables_name(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """The error says which variable is wrong."""
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=f"^{name}: "):
        CoherenceSettings.load()


def test_all_that_is_wrong_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is a line for each variable."""
    monkeypatch.setenv("REDIS_PORT", "many")
    monkeypatch.setenv("LOG_FORMAT", "xml")
    with pytest.raises(SettingsError) as refused:
        CoherenceSettings.load()
    assert [line.partition(":")[0] for line in str(refused.value).splitlines()] == ["REDIS_PORT", "LOG_FORMAT"]


@pytest.mark.parametrize("url", ["http://:hush@cache.example", "redis://:hush@[bad", "redis//:hush@x"])
def test_no_secret_is_in_an_error_or_a_repr(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Passwords do not leak through messages, nor by printing the settings."""
    monkeypatch.setenv("REDIS_URL", url)
    with pytest.raises(SettingsError) as refused:
        CoherenceSettings.load()
    assert "hush" not in str(refused.value)
    assert refused.value.__suppress_context__
    monkeypatch.setenv("REDIS_URL", "redis://:hush@cache.example")
    monkeypatch.setenv("REDIS_PASSWORD", "hush")
    assert "hush" not in repr(CoherenceSettings.load())


async def test_the_user_is_the_one_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its own variable, or in the URL; without one it is Redis' default user. Nothing is said of the library."""
    said = []
    monkeypatch.setenv("REDIS_PASSWORD", "hush")
    for name, value in (("LOG_LEVEL", "INFO"), ("REDIS_USERNAME", "one"), ("REDIS_URL", "redis://other:hush@there")):
        monkeypatch.setenv(name, value)
        async with connect(CoherenceSettings.load(), connections=1) as redis:
            given = redis.connection_pool.connection_kwargs
            said.append((given.get("username"), given["password"], given["driver_info"]))
    assert said == [(None, "hush", None), ("one", "hush", None), ("other", "hush", None)]


def test_an_env_file_that_cannot_be_read_is_an_error_of_the_settings(tmp_path: Path) -> None:
    """A .env in another encoding is no traceback."""
    (tmp_path / ".env").write_bytes(b"REDIS_HOST=\xff\xfe\n")
    with pytest.raises(SettingsError, match=r"^\.env: "):
        CoherenceSettings.load()
