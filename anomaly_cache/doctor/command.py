"""The command `doctor`."""

import asyncio
import json
from dataclasses import asdict

import click
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from anomaly_cache.config import PROGRAMS
from anomaly_cache.deployment import deployment
from anomaly_cache.doctor.finding import Finding, Level
from anomaly_cache.doctor.fleet import of_fleet
from anomaly_cache.doctor.postgres import of_api, of_listener
from anomaly_cache.doctor.redis import of_redis
from anomaly_cache.doctor.settings import dangers, load
from listener.settings import ListenerSettings
from service.queries import NAMESPACES
from service.settings import ServiceSettings

INDENT = 8
MARKS = {Level.OK: "green", Level.WARNING: "yellow", Level.FAILING: "bold red"}


@click.command()
@click.option(
    "--for",
    "wanted",
    type=click.Choice(sorted(PROGRAMS)),
    help="Only what concerns this program; a machine that runs only listeners needs no API keys.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document, for scripts.")
@click.option("--strict", is_flag=True, help="Let a warning count as a failure.")
def doctor(wanted: str | None, *, as_json: bool, strict: bool) -> None:
    """Look for what is wrong with this deployment, and say what helps.

    Looks at the settings, Postgres (through the URLs of the API and of the listener), the watched tables and their
    triggers, rights, indexes, Redis, the lease, and every process that is there. It changes nothing.

    \b
    Settings (environment or .env): those of the API and of the listener.

    \b
    Exit codes:
      0  nothing fails (with --strict: nothing is to be warned of either)
      1  something fails; each line says what helps
      2  a setting is missing or wrong, or an argument
    """  # noqa: D301 - click wants the character
    found = asyncio.run(examine([wanted] if wanted else list(PROGRAMS)))
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in found], indent=2))
    else:
        _show(found)
    raise SystemExit(exit_code(found, strict=strict))


def exit_code(found: list[Finding], *, strict: bool) -> int:
    """Return the exit code that `found` amounts to."""
    failures = [each for each in found if each.level is Level.FAILING]
    if any(each.check == "settings" for each in failures):
        return 2
    return 1 if failures or (strict and any(each.level is Level.WARNING for each in found)) else 0


async def examine(names: list[str]) -> list[Finding]:
    """Return what is found, for these programs."""
    loaded, found = load(names)
    if not loaded:
        return found
    found += dangers(loaded)
    for settings in loaded.values():
        if isinstance(settings, ServiceSettings):
            found += await of_api(settings.database_url.get_secret_value())
        elif isinstance(settings, ListenerSettings):
            found += await of_listener(settings.source_url, list(NAMESPACES), alone=len(loaded) == 1)
    async with deployment(next(iter(loaded.values()))) as at:
        return [*found, *await of_redis(at), *await of_fleet(at)]


def _show(found: list[Finding]) -> None:
    console = Console(highlight=False)
    if console.is_terminal:
        for each in found:
            console.print(
                Text.assemble((f"{each.level:<8}", MARKS[each.level]), (each.check, "bold"), f": {each.detail}")
            )
            if each.remedy is not None:
                console.print(Padding(Text(f"→ {each.remedy}"), (0, 0, 0, INDENT)))
    else:
        for each in found:
            click.echo("\t".join((each.level, each.check, each.detail, each.remedy or "")))
    counts = {level: sum(each.level is level for each in found) for level in Level}
    click.echo(", ".join(f"{count} {level}" for level, count in counts.items()), err=not console.is_terminal)
