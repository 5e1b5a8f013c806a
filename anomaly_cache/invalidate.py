"""`anomaly-cache invalidate`: make every cache forget a namespace."""

import asyncio

import click

from anomaly_cache.admin import AdminError, AdminSettings, transaction
from anomaly_cache.config import WrongSettingsError
from coherence.settings import SettingsError


@click.command()
@click.argument("namespace")
def invalidate(namespace: str) -> None:
    """Make every cache forget all answers of NAMESPACE, such as `anomalies`.

    For changes that no trigger can see: a restored backup, a table filled with triggers off. Ordinary changes need
    nothing of the kind, whoever makes them.

    It goes through Postgres (coherence.invalidate announces it like a change of a row) and so needs neither Redis nor
    a running listener. Caches forget within milliseconds where all is up, and in any case within
    CACHE_MAX_STALENESS_SECONDS: with no listener, or no Redis, nothing cached is served after that, and whatever
    comes back starts by forgetting everything.

    \b
    Settings (environment or .env):
      DATABASE_URL  a user who may execute coherence.invalidate, such as the API's

    \b
    Exit codes:
      0  announced
      1  Postgres cannot be reached, or refuses
      2  no such namespace (the known ones are listed), or a setting is wrong
    """  # noqa: D301 - click wants the character
    try:
        settings = AdminSettings.load()
        asyncio.run(announce(settings.database_url.get_secret_value(), namespace))
    except SettingsError as error:
        raise WrongSettingsError(str(error)) from None
    except AdminError as error:
        raise click.ClickException(str(error)) from None
    bound = settings.cache_max_staleness_seconds
    click.echo(f"{namespace}: announced; within {bound:g} s no answer from before is served any more")


class UnknownNamespaceError(click.ClickException):
    """Nothing is watched under this namespace."""

    exit_code = 2

    def __init__(self, namespace: str, known: list[str]) -> None:
        names = ", ".join(known) or "none yet: run `anomaly-cache migrate`"
        super().__init__(f"unknown namespace {namespace!r}; known: {names}")


async def announce(database_url: str, namespace: str) -> None:
    """Announce a change of everything in `namespace`.

    Raises UnknownNamespaceError where nothing is watched under it, and AdminError where Postgres cannot be reached
    or refuses.
    """
    async with transaction(database_url, application="anomaly-cache invalidate") as connection:
        rows = await connection.execute("SELECT DISTINCT namespace FROM coherence.tables ORDER BY namespace")
        known = [str(row[0]) for row in await rows.fetchall()]
        if namespace not in known:
            raise UnknownNamespaceError(namespace, known)
        await connection.execute("SELECT coherence.invalidate(%s)", [namespace])
