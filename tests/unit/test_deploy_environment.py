"""`.env.example` and compose.yaml's environments against the settings that the programs read."""

import io
import os
import re
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
from dotenv import dotenv_values

from coherence.settings import CoherenceSettings
from listener.settings import ListenerSettings
from service.settings import ServiceSettings
from tests.support.compose_file import ROOT, load_compose, variables_of_compose
from tests.support.env_example import ENV_EXAMPLE, shown_variables
from tests.unit.test_deploy_compose import FILLED_IN, SECRETS

ANYWHERE = "0.0.0.0"  # noqa: S104 - of a container
LIBPQ = {"PGPASSWORD"}
# A container needs one way to say where Redis is, and one for the keys.
LEFT_OUT = {"REDIS_URL", "REDIS_DB", "API_KEYS_FILE", "LISTENER_DATABASE_URL"}


def names(settings: type[CoherenceSettings]) -> set[str]:
    """Return the variables that a settings class reads."""
    return {field.upper() for field in settings.model_fields}


def test_shows_every_variable() -> None:
    """`.env.example` has each variable of compose.yaml and each setting of the programs, and no other."""
    settings = names(ServiceSettings) | names(ListenerSettings)
    assert set(shown_variables()) == set(variables_of_compose()) | settings


def test_explains_every_variable() -> None:
    """A comment stands above each variable, or above the group that it is in."""
    assert [variable.name for variable in shown_variables().values() if not variable.explained] == []


def test_holds_no_secret_and_asks_for_each() -> None:
    """The secrets stand there to be filled in; everything else is a comment that shows the default."""
    shown = shown_variables().values()
    assert {variable.name for variable in shown if not variable.commented} == {*SECRETS, "REDIS_PASSWORD"}
    assert {variable.value for variable in shown if not variable.commented} == {""}


@pytest.mark.parametrize("settings", [ServiceSettings, ListenerSettings])
def test_shows_the_defaults(settings: type[CoherenceSettings], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The value shown for a setting is the one that it has when it is not set."""
    monkeypatch.chdir(tmp_path)
    for name in names(settings):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATABASE_URL", "postgresql://db")
    monkeypatch.setenv("API_KEYS", "admin=0123456789abcdef")
    default = settings.load()
    for name, value in dotenv_values(stream=uncommented(), interpolate=False).items():
        if value and name not in {"DATABASE_URL", "REDIS_URL"}:
            monkeypatch.setenv(name, value)
    assert settings.load() == default


@pytest.mark.parametrize(
    ("service", "settings"), [("api", ServiceSettings), ("listener", ListenerSettings)], ids=["api", "listener"]
)
def test_compose_hands_on_every_setting(service: str, settings: type[CoherenceSettings]) -> None:
    """A container is given each setting that its program reads, and nothing that neither it nor a library reads."""
    given = set(load_compose(FILLED_IN)["services"][service]["environment"])
    assert {name for name in given - LIBPQ if not name.startswith("OTEL_")} == names(settings) - LEFT_OUT


def test_programs_listen_where_other_containers_reach_them() -> None:
    """API and listener listen on every address of their containers, not on the loopback one alone."""
    services = load_compose(FILLED_IN)["services"]
    assert services["api"]["environment"]["API_HOST"] == ANYWHERE
    assert services["listener"]["environment"]["LISTENER_HEALTH_HOST"] == ANYWHERE


def test_new_env_fills_in_every_secret(tmp_path: Path) -> None:
    """deploy/new-env.sh makes a file that only its owner may read, with fresh secrets and the example's comments."""
    first, second = (make_env(tmp_path / name) for name in ("first.env", "second.env"))
    assert stat.S_IMODE((tmp_path / "first.env").stat().st_mode) == 0o600
    for name in (*SECRETS, "REDIS_PASSWORD"):
        assert len(first[name]) >= 32
        assert first[name] != second[name]
    load_compose(first)


def test_the_keys_that_it_makes_are_taken(tmp_path: Path) -> None:
    """The API keys in a fresh .env are one for each role, in the form that the API reads."""
    environment: dict[str, Any] = load_compose(make_env(tmp_path / ".env"))["services"]["api"]["environment"]
    roles = [entry.partition("=")[0] for entry in environment["API_KEYS"].split(",")]
    assert roles == ["analyst", "admin"]
    ServiceSettings.model_validate({"database_url": "postgresql://db", "api_keys": environment["API_KEYS"]})


def test_new_env_leaves_a_file_alone(tmp_path: Path) -> None:
    """A file that is there stays as it is, and the script says so."""
    kept = tmp_path / ".env"
    kept.write_text("API_KEYS=mine")
    with pytest.raises(subprocess.CalledProcessError) as refused:
        make_env(kept)
    assert "left as it is" in refused.value.stderr
    assert kept.read_text() == "API_KEYS=mine"


def uncommented() -> io.StringIO:
    """Return `.env.example` with every variable set as it is shown."""
    return io.StringIO(re.sub(r"^# (?=[A-Z][A-Z0-9_]*=)", "", ENV_EXAMPLE.read_text(), flags=re.MULTILINE))


def make_env(path: Path) -> dict[str, str]:
    """Run the script and return what the file that it wrote holds."""
    command = ["sh", str(ROOT / "deploy" / "new-env.sh"), str(path)]
    environment = {"PATH": os.environ["PATH"]}
    subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=30)
    return {name: value for name, value in dotenv_values(path, interpolate=False).items() if value is not None}
