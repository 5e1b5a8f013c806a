"""`anomaly-cache config`: which settings are in effect, and where each comes from."""

import os
from pathlib import Path

import click
from dotenv import dotenv_values
from pydantic import SecretStr

from anomaly_cache.admin import AdminSettings
from anomaly_cache.masking import HIDDEN, masked
from coherence.settings import CoherenceSettings, SettingsError
from listener.settings import ListenerSettings
from service.settings import ServiceSettings

PROGRAMS: dict[str, type[CoherenceSettings]] = {"api": ServiceSettings, "listener": ListenerSettings}
READERS: dict[str, type[CoherenceSettings]] = {**PROGRAMS, "commands": AdminSettings}
"""Who reads settings; the commands are `migrate`, `seed`, `audit` and `invalidate`."""


@click.command()
@click.option(
    "--for",
    "wanted",
    type=click.Choice(sorted(READERS)),
    help="Only the settings of this program, or of migrate, seed, audit and invalidate; a machine that runs only "
    "listeners needs no API keys.",
)
def config(wanted: str | None) -> None:
    """Print the settings that the API, the listener and the other commands would start with here.

    A line for each variable: its name, its value, and where the value is from (env, .env or default). Passwords and
    keys are hidden, those within URLs too. Nothing is connected to.

    \b
    Exit codes:
      0  all of them could start with these settings
      2  a setting is missing or wrong; a line for each says what
    """  # noqa: D301 - click wants the character
    names = [wanted] if wanted else list(READERS)
    loaded, complaints = load_all(names)
    if complaints:
        raise WrongSettingsError(complaints)
    for title, rows in sections(loaded):
        click.echo(f"# {title}")
        widest = max(len(name) for name, _, _ in rows)
        for name, value, origin in rows:
            click.echo(f"{name:<{widest}}  {origin:<7}  {value}")
        click.echo()


class WrongSettingsError(click.ClickException):
    """Settings are missing or wrong; the message has a line for each."""

    exit_code = 2


def load_all(names: list[str]) -> tuple[dict[str, CoherenceSettings], str]:
    """Load the settings of these programs; return those that loaded, and a line for each complaint."""
    loaded: dict[str, CoherenceSettings] = {}
    complaints: dict[str, list[str]] = {}
    for name in names:
        try:
            loaded[name] = READERS[name].load()
        except SettingsError as error:
            for line in str(error).splitlines():
                complaints.setdefault(line, []).append(name)
    return loaded, "\n".join(f"{line} ({', '.join(programs)})" for line, programs in complaints.items())


def source(variable: str) -> str:
    """Say where a variable's value is from: `env`, `.env` or `default`. Empty counts as unset."""
    if any(name.upper() == variable and value for name, value in os.environ.items()):
        return "env"
    if Path(".env").is_file():
        for name, value in dotenv_values(".env").items():
            if name.upper() == variable and value:
                return ".env"
    return "default"


def sections(loaded: dict[str, CoherenceSettings]) -> list[tuple[str, list[tuple[str, str, str]]]]:
    """Return rows of name, value and source: those that all programs share first, then each program's own."""
    fields = {name: list(type(settings).model_fields) for name, settings in loaded.items()}
    shared = [field for field in next(iter(fields.values())) if all(field in each for each in fields.values())]
    found = [(", ".join(loaded), next(iter(loaded.values())), shared)]
    for name, settings in loaded.items():
        found.append((name, settings, [field for field in fields[name] if field not in shared]))
    return [(title, [_row(settings, field) for field in names]) for title, settings, names in found if names]


def _row(settings: CoherenceSettings, field: str) -> tuple[str, str, str]:
    name = field.upper()
    value = getattr(settings, field)
    if value is None:
        value = _implied(settings, field)
    # A password may look like anything, a URL or a list of keys too.
    secret = field.endswith("_password") and isinstance(value, SecretStr)
    return name, HIDDEN if secret else masked(value), source(name)


def _implied(settings: CoherenceSettings, field: str) -> object:
    """Return what an unset variable amounts to."""
    match settings, field:
        case ServiceSettings(), "db_max_concurrent_loads":
            return settings.max_loads
        case ListenerSettings(), "listener_database_url":
            return settings.database_url
    return "(unset)"
