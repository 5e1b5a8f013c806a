"""The command line: help, the effective settings, and what is said of wrong ones."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from anomaly_cache.cli import COMMANDS, main
from coherence.settings import CoherenceSettings

SETTINGS = {
    "DATABASE_URL": "postgresql://app:database-secret@db/shop",
    "REDIS_URL": "redis://:redis-secret@cache:6379/0",
    "API_KEYS": "analyst=analyst-secret-key,admin=admin-secret-key",
}
HEAVY = ("starlette", "uvicorn", "psycopg", "redis", "pydantic", "rich")


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty directory, and none of the system's settings."""
    monkeypatch.chdir(tmp_path)
    for name in [*SETTINGS, "LISTENER_DATABASE_URL", "API_KEYS_FILE", "REDIS_HOST", "LOG_LEVEL", "CACHE_L1_MAX_BYTES"]:
        monkeypatch.delenv(name, raising=False)


def run(*arguments: str, **settings: str) -> Result:
    """Run `anomaly-cache` with these settings in the environment."""
    return CliRunner().invoke(main, arguments, env={**SETTINGS, **settings})


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_worth_reading(command: str) -> None:
    """Each command says what it does, and its exit codes or settings."""
    result = run(command, "--help")
    assert result.exit_code == 0
    assert len(result.output.splitlines()) > 10
    assert "\\b" not in result.output


def test_help_of_the_group_imports_no_server() -> None:
    """`anomaly-cache --help` names every command and is instant."""
    code = (
        "import sys; from click.testing import CliRunner; from anomaly_cache.cli import main;"
        "print(CliRunner().invoke(main, ['--help']).output);"
        f"print('imported:', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "imported: []" in said
    for command in COMMANDS:
        assert f"\n  {command} " in said


def test_an_unknown_command_is_named() -> None:
    """A mistyped command exits with 2, and with the one that is meant where there is one like it."""
    result = run("invalidat")
    assert result.exit_code == 2
    assert "No such command 'invalidat'. Did you mean 'invalidate'?" in result.output
    assert "No such command 'frobnicate'.\n" in run("frobnicate").output


@pytest.mark.parametrize("command", ["config", "migrate", "config --for listener"])
@pytest.mark.parametrize("password", ["sec@ret#word", "sec/retword"])
def test_a_bare_character_in_a_password_is_no_part_of_a_host(command: str, password: str) -> None:
    """What follows it would be taken for a host's name, and named in messages: it is refused, and nothing quoted."""
    result = run(*command.split(), DATABASE_URL=f"postgresql://app:{password}@db/shop")
    assert result.exit_code == 2
    assert "DATABASE_URL: in the user's name and password, @ : / ? # and % must be written as %40" in result.output
    assert "ret" not in result.output


@pytest.mark.parametrize(
    ("arguments", "settings", "said", "code"),
    [
        (["a=b c&d=é"], {}, "Does the API run there?", 1),
        (["--url", "http://["], {}, "--url http://[: ", 2),
        (["--url", "http://127.0.0.1:port"], {}, "nonnumeric port", 1),
        (["--url", "127.0.0.1:8000"], {}, "must begin with http://", 2),
        ([], {"API_PORT": "many"}, "API_PORT: ", 2),
        ([], {"API_KEYS": "", "API_KEYS_FILE": "/nonexistent"}, "API_KEYS_FILE: cannot be read: ", 2),
        ([], {"API_KEYS": "analyst=secret-secret-secret"}, "holds no admin key", 2),
    ],
)
def test_explain_says_what_is_wrong(arguments: list[str], settings: dict[str, str], said: str, code: int) -> None:
    """Wrong words, addresses and keys are a line or two, whatever they hold."""
    result = run("explain", *arguments, **{"API_PORT": "1", **settings})
    assert (result.exit_code, said in result.output) == (code, True), result.output


def test_config_shows_values_and_sources_and_no_secret(tmp_path: Path) -> None:
    """Each variable has its value and where it is from; environment goes before .env."""
    (tmp_path / ".env").write_text("LOG_LEVEL=WARNING\nCACHE_L1_MAX_BYTES=1000\nCACHE_PREFIX=\n")
    result = run("config", CACHE_L1_MAX_BYTES="2000")
    assert result.exit_code == 0, result.output
    lines = [line.split(maxsplit=2) for line in result.output.splitlines()]
    assert ["LOG_LEVEL", ".env", "WARNING"] in lines
    assert ["CACHE_L1_MAX_BYTES", "env", "2000"] in lines
    assert ["CACHE_PREFIX", "default"] in lines
    assert ["DATABASE_URL", "env", "postgresql://app:********@db/shop"] in lines
    assert ["LISTENER_DATABASE_URL", "default", "postgresql://app:********@db/shop"] in lines
    assert ["API_KEYS", "env", "analyst=********,admin=********"] in lines
    assert "secret" not in result.output


def test_config_names_each_wrong_variable_and_no_secret() -> None:
    """Wrong settings exit with 2, a line for each, without a traceback or a value that may be secret."""
    result = run("config", REDIS_URL="http://:redis-secret@cache", LOG_LEVEL="loud", API_KEYS="analyst=short")
    assert result.exit_code == 2
    for name in ("REDIS_URL", "LOG_LEVEL", "API_KEYS"):
        assert f"{name}: " in result.output
    assert "secret" not in result.output
    assert "Traceback" not in result.output


def test_config_for_a_listener_needs_no_api_keys() -> None:
    """`--for listener` asks only for what a listener needs."""
    result = run("config", "--for", "listener", API_KEYS="")
    assert result.exit_code == 0, result.output
    assert "LISTENER_HEALTH_PORT" in result.output
    assert "API_KEYS" not in result.output


def test_config_shows_every_setting_that_there_is() -> None:
    """Nothing is read that it does not list, and no password shows, whatever it looks like."""
    passwords = {"API_DB_PASSWORD": "se=cret", "LISTENER_DB_PASSWORD": "se://cret", "REDIS_PASSWORD": "se=cret,se=cret"}
    result = run("config", **passwords)
    assert result.exit_code == 0, result.output
    shown = {line.split()[0]: line.split(maxsplit=2)[-1] for line in result.output.splitlines() if line[:1].isupper()}
    every = [kind for kind in CoherenceSettings.__subclasses__() if not kind.__module__.startswith("tests")]
    assert set(shown) == {field.upper() for settings in every for field in settings.model_fields}
    assert {shown[name] for name in passwords} == {"********"}
    alone = run("config", "--for", "commands", API_KEYS="")
    assert "API_DB_PASSWORD" in alone.output
    assert "LISTENER_HEALTH_PORT" not in alone.output


def test_an_unreadable_env_file_is_named(tmp_path: Path) -> None:
    """A .env that is no text is an error with a name, not a traceback."""
    (tmp_path / ".env").write_bytes(b"\xff\xfe\x00")
    result = run("config")
    assert result.exit_code == 2
    assert ".env" in result.output


@pytest.mark.parametrize("command", ["config", "invalidate anomalies"])
def test_missing_settings_are_named(command: str) -> None:
    """Without DATABASE_URL every command that needs it says so."""
    result = run(*command.split(), DATABASE_URL="")
    assert result.exit_code == 2
    assert "DATABASE_URL" in result.output
    assert "Traceback" not in result.output


def test_python_m_is_the_same_program() -> None:
    """`python -m anomaly_cache` is the console script."""
    done = subprocess.run(
        [sys.executable, "-m", "anomaly_cache", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("anomaly-cache ")
