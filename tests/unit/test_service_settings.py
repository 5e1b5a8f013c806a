"""The API's settings."""

from pathlib import Path

import pytest

from coherence.settings import SettingsError
from service.auth import Role
from service.settings import ServiceSettings

KEYS = "analyst=analyst-key-01234,admin=admin-key-0123456"
NEEDED = {"DATABASE_URL": "postgresql://u:s3cret@h/d", "API_KEYS": KEYS}


@pytest.fixture(autouse=True)
def _no_settings_of_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for field in ServiceSettings.model_fields:
        monkeypatch.delenv(field.upper(), raising=False)


def load(monkeypatch: pytest.MonkeyPatch, **variables: str) -> ServiceSettings:
    """Load the settings with these variables beside the needed ones."""
    for name, value in {**NEEDED, **variables}.items():
        monkeypatch.setenv(name, value)
    return ServiceSettings.load()


def test_the_defaults_are_those_of_the_manual(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only Postgres and the keys have to be given."""
    settings = load(monkeypatch)
    assert (settings.cache_ttl_anomalies, settings.cache_ttl_short) == (60, 30)
    assert settings.cache_l1_max_bytes == 64 * 1024 * 1024
    assert (settings.db_pool_size, settings.max_loads) == (10, 8)
    assert settings.put_ack_timeout_ms == 100
    assert settings.cache_enabled
    assert settings.warm_query_strings == (b"limit=100&offset=0&status=NEW", b"limit=100&offset=0&min_score=0.8")
    assert settings.read_keys().role_of(b"admin-key-0123456") is Role.ADMIN


def test_all_that_is_missing_is_told_at_once() -> None:
    """A line for each variable."""
    with pytest.raises(SettingsError) as error:
        ServiceSettings.load()
    assert [line.partition(":")[0] for line in str(error.value).splitlines()] == ["DATABASE_URL", "API_KEYS_FILE"]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DATABASE_URL", "mysql://u:s3cret@h/d"),
        ("DATABASE_URL", "postgresql://u:s3cret@h:port/d"),
        ("DATABASE_URL", "s3cret"),
        ("DB_POOL_SIZE", "1"),
        ("DB_MAX_CONCURRENT_LOADS", "10"),
        ("DB_MAX_CONCURRENT_LOADS", "0"),
        ("DB_STATEMENT_TIMEOUT_MS", "0"),
        ("CACHE_TTL_ANOMALIES", "0"),
        ("CACHE_TTL_SHORT", "nan"),
        ("CACHE_L1_MAX_BYTES", "-1"),
        ("CACHE_L1_MAX_BYTES", "lots"),
        ("CORS_ALLOW_ORIGINS", "ui.example.com"),
        ("CORS_ALLOW_ORIGINS", "https://ui.example.com/"),
        ("CORS_ALLOW_ORIGINS", "*, https://ui.example.com"),
        ("CORS_ALLOW_ORIGINS", "null"),
        ("CACHE_FRESH_READS", "nobody"),
        ("CACHE_COMPRESSION", "deflate"),
        ("CACHE_COMPRESSION", "gzip,gzip"),
        ("CACHE_COMPRESSION", "none,gzip"),
        ("CACHE_COMPRESSION", ","),
        ("CACHE_ENABLED", "perhaps"),
        ("API_PORT", "65536"),
        ("API_KEYS", "admin=s3cret"),
        ("API_KEYS", "s3cret-s3cret-s3cret"),
        ("PUT_ACK_TIMEOUT_MS", "-1"),
        ("WARM_QUERIES", "limit=0"),
        ("WARM_QUERIES", "limit=1 nonsense=1"),
        ("WARM_TIMEOUT_SECONDS", "inf"),
    ],
)
def test_a_wrong_value_is_told_by_variable_and_secrets_are_kept(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    """The message names the variable first, and never a password or key."""
    with pytest.raises(SettingsError) as error:
        load(monkeypatch, **{variable: value})
    assert str(error.value).startswith(f"{variable}: ")
    assert "s3cret" not in str(error.value)


@pytest.mark.parametrize("value", ["67108864", "64MiB", "64 MiB"])
def test_bytes_may_have_a_unit(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """CACHE_L1_MAX_BYTES takes 64MiB as well as a number."""
    assert load(monkeypatch, CACHE_L1_MAX_BYTES=value).cache_l1_max_bytes == 2**26


def test_loads_leave_connections_to_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default follows the pool's size, and at least one connection is left."""
    assert load(monkeypatch, DB_POOL_SIZE="2").max_loads == 1
    assert load(monkeypatch, DB_POOL_SIZE="20").max_loads == 18
    assert load(monkeypatch, DB_POOL_SIZE="20", DB_MAX_CONCURRENT_LOADS="19").max_loads == 19


def test_keys_may_come_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A line each, as secrets are mounted; not both a file and a variable, and the file must be there."""
    file = tmp_path / "keys"
    file.write_text(KEYS.replace(",", "\n") + "\n")
    settings = load(monkeypatch, API_KEYS="", API_KEYS_FILE=str(file))
    assert settings.read_keys().role_of(b"analyst-key-01234") is Role.ANALYST
    for variables in ({"API_KEYS_FILE": str(file)}, {"API_KEYS": "", "API_KEYS_FILE": str(tmp_path / "none")}):
        with pytest.raises(SettingsError, match=r"^API_KEYS_FILE: "):
            load(monkeypatch, **variables)
    file.write_text("admin=short")
    for keys, path, said in (("", "", "is not set either"), (KEYS, str(file), "is set, too")):
        with pytest.raises(SettingsError, match=rf"^API_KEYS_FILE: API_KEYS {said}"):
            load(monkeypatch, API_KEYS=keys, API_KEYS_FILE=path)
    with pytest.raises(SettingsError, match=r"^API_KEYS_FILE: entry 1: "):
        load(monkeypatch, API_KEYS="", API_KEYS_FILE=str(file))


def test_warming_can_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """`none` says so: an empty variable counts as unset."""
    assert load(monkeypatch, WARM_QUERIES="none").warm_query_strings == ()
    assert load(monkeypatch, WARM_QUERIES="?limit=5  limit=6").warm_query_strings == (b"limit=5", b"limit=6")


def test_every_setting_says_what_it_is() -> None:
    """The page of settings is made of these."""
    assert all(field.description for field in ServiceSettings.model_fields.values())


@pytest.mark.parametrize(
    ("value", "codings"), [("", ("zstd", "br", "gzip")), ("gzip , br", ("gzip", "br")), ("none", ())]
)
def test_codings_are_listed_in_the_order_of_preference(
    monkeypatch: pytest.MonkeyPatch, value: str, codings: tuple[str, ...]
) -> None:
    """CACHE_COMPRESSION, all of them by default."""
    assert load(monkeypatch, CACHE_COMPRESSION=value).codings == codings


def test_origins_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """CORS_ALLOW_ORIGINS, none by default."""
    assert load(monkeypatch).origins == ()
    several = load(monkeypatch, CORS_ALLOW_ORIGINS="https://ui.example.com, http://[::1]:3000")
    assert several.origins == ("https://ui.example.com", "http://[::1]:3000")
    assert load(monkeypatch, CORS_ALLOW_ORIGINS="*").origins == ("*",)
