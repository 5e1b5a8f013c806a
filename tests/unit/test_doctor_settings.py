"""What `anomaly-cache doctor` says of settings alone."""

import pytest

from anomaly_cache.doctor.command import exit_code
from anomaly_cache.doctor.finding import Level
from anomaly_cache.doctor.settings import dangers, load
from tests.support.clinic import KEYS


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
