"""`anomaly-cache replicas`: every API process and listener that there is, and how it does."""

import asyncio
import json
import sys

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from anomaly_cache.deployment import RedisSilentError, deployment, load_settings
from coherence.presence import Presence, present
from coherence.redis_client import RedisUnavailable
from coherence.settings import CoherenceSettings

COLUMNS = ("kind", "host", "pid", "state", "up", "generation", "lease", "hit rate", "answers", "L1", "lag", "problem")

WIDEST = max(map(len, COLUMNS))


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON document, for scripts.")
def replicas(*, as_json: bool) -> None:
    """List every API process and listener: its view, hit rate, own cache, and how late changes reach it.

    Each process says so in Redis once a second; one that was stopped, or has said nothing for five seconds, is not
    listed. `lag` is how long the latest change took from Redis to the process.

    \b
    Settings (environment or .env), as the API and the listener have them:
      REDIS_URL     or REDIS_HOST, REDIS_PORT, REDIS_DB, REDIS_USERNAME, REDIS_PASSWORD
      CACHE_PREFIX  where it is not empty

    \b
    Exit codes:
      0  there is an active listener, and every API process serves from its cache
      1  there is none, or one does not; or Redis does not answer
      2  a setting is wrong
    """  # noqa: D301 - click wants the character
    try:
        found = asyncio.run(look(load_settings()))
    except RedisUnavailable as error:
        raise RedisSilentError(error) from None
    if as_json:
        click.echo(json.dumps([presence.model_dump(mode="json") for presence in found], indent=2))
    elif found:
        show(found)
    else:
        click.echo("no process has said in the last 5 s that it is there: is CACHE_PREFIX as the others have it?")
    if not in_order(found):
        raise SystemExit(1)


async def look(settings: CoherenceSettings) -> list[Presence]:
    """Return who is there. Raises RedisUnavailable."""
    async with deployment(settings) as at:
        return await present(at.redis, at.names, at.timeout)


def in_order(found: list[Presence]) -> bool:
    """Tell whether a listener is active, and every API process serves from its cache."""
    active = any(each.kind == "listener" and each.state == "active" for each in found)
    return active and all(each.state == "serving" for each in found if each.kind == "api")


def show(found: list[Presence]) -> None:
    """Print a table for a person, a paragraph for each process where the terminal is too narrow for that.

    Where standard output is no terminal, print lines with tabs between the columns.
    """
    rows = [row(presence) for presence in found]
    console = Console(highlight=False)
    if not console.is_terminal:
        for each in (COLUMNS, *rows):
            click.echo("\t".join(each))
        return
    table = Table(*COLUMNS)
    for each in rows:
        table.add_row(*map(escape, each))
    unbounded = console.options.update(width=sys.maxsize)
    if console.measure(table, options=unbounded).maximum <= console.width:
        console.print(table)
        return
    for each in rows:
        for name, part in zip(COLUMNS, each, strict=True):
            console.print(f"{name:<{WIDEST}}  {escape(part)}")
        console.print()


def row(presence: Presence) -> tuple[str, ...]:
    """Return the columns for a person, "-" where there is nothing to tell."""
    traffic = presence.traffic
    rate = traffic.hit_rate if traffic else None
    newest = presence.applied[-1] if presence.applied else None
    return (
        presence.kind,
        presence.host,
        str(presence.pid),
        presence.state,
        f"{presence.up:.0f} s",
        str(presence.generation),
        f"{presence.lease_left:.2f} s",
        f"{rate:.1%}" if rate is not None else "-",
        f"{traffic.requests:,}" if traffic else "-",
        f"{traffic.l1_entries:,} / {traffic.l1_bytes / 2**20:.1f} MiB" if traffic else "-",
        f"{newest.milliseconds:.1f} ms" if newest else "-",
        presence.problem or "-",
    )
