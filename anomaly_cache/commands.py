"""The commands `migrate` and `seed`: settings in, lines for a person out."""

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

import click
from pydantic import SecretStr

from anomaly_cache import migrate as migration
from anomaly_cache import seed as seeding
from anomaly_cache.admin import AdminError, AdminSettings
from anomaly_cache.config import WrongSettingsError
from anomaly_cache.progress import Progress
from coherence.settings import SettingsError

T = TypeVar("T")


@click.command()
@click.option(
    "--roles/--no-roles",
    default=None,
    help="Make the roles anomaly_api and anomaly_listener, and grant them what they need. "
    "Default: if API_DB_PASSWORD or LISTENER_DB_PASSWORD is set.",
)
def migrate(*, roles: bool | None) -> None:
    """Make or repair the tables, schema coherence and the triggers that announce changes.

    Applies every file of sql/ in one transaction. Run it at each deployment, as often as you like: it changes nothing
    that is as it should be, and holds no writer up unless a trigger or an index is missing.

    A DBA can do the same without this program: psql -v ON_ERROR_STOP=1 -1 with the files of sql/, then of sql/roles/.

    \b
    Settings (environment or .env):
      DATABASE_URL          Postgres, as a user who may create tables; required
      API_DB_PASSWORD       lets the role anomaly_api log in, with this password
      LISTENER_DB_PASSWORD  lets the role anomaly_listener log in, with this password

    \b
    Exit codes:
      0  everything is in place
      1  Postgres cannot be reached, or refused; nothing was changed
      2  a setting is missing or wrong; a line for each says what
    """  # noqa: D301 - click wants the character
    settings = _settings()
    chosen = None
    if roles or (roles is None and (settings.api_db_password or settings.listener_db_password)):
        chosen = migration.Roles(_revealed(settings.api_db_password), _revealed(settings.listener_db_password))
    watched = _run(
        migration.migrate(
            settings.database_url.get_secret_value(),
            roles=chosen,
            report=lambda name: click.echo(f"applied sql/{name}"),
        )
    )
    for table in watched:
        click.echo(f"watching {table.name} as {table.namespace}: {table.problem or 'ok'}")
    if any(table.problem for table in watched):
        raise click.ClickException("not every change is announced: no cache is served until that is mended")


@click.command()
@click.option("--rows", type=click.IntRange(min=0), default=20_000, show_default=True, help="How many anomalies.")
@click.option("--seed", "number", type=int, default=1, show_default=True, help="Another number makes other rows.")
def seed(*, rows: int, number: int) -> None:
    """Load made-up anomalies, each with its transaction, as fraud detection would find them.

    The same --seed makes the same rows, whatever the day; more --rows add to fewer. Rows that are there already stay
    as they are: a second run adds nothing, and undoes no update.

    \b
    Settings (environment or .env):
      DATABASE_URL  a Postgres that migrate has prepared, as a user who may insert; required

    \b
    Exit codes:
      0  the rows are there
      1  Postgres cannot be reached, or refused; nothing was added
      2  a setting or an argument is wrong
    """  # noqa: D301 - click wants the character
    settings = _settings()
    with Progress(rows, "anomalies") as progress:
        added = _run(
            seeding.seed(settings.database_url.get_secret_value(), rows=rows, seed=number, report=progress.advance)
        )
    click.echo(
        f"added {added.anomalies:,} anomalies and {added.transactions:,} transactions"
        f" ({rows - added.anomalies:,} anomalies were there already)"
    )


def _settings() -> AdminSettings:
    try:
        return AdminSettings.load()
    except SettingsError as error:
        raise WrongSettingsError(str(error)) from None


def _revealed(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None


def _run(work: Coroutine[None, None, T]) -> T:
    try:
        return asyncio.run(work)
    except AdminError as error:
        raise click.ClickException(str(error)) from None
