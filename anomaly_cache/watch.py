"""`anomaly-cache watch`: the changes as they pass, and how long each took to every process."""

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress

import click
from redis.asyncio.client import PubSub

from anomaly_cache.deployment import Deployment, RedisSilentError, deployment, load_settings
from coherence.changes import Bump, MalformedMessage
from coherence.passing import Passing, Witnesses
from coherence.presence import present
from coherence.redis_client import RedisUnavailable, bounded
from coherence.settings import CoherenceSettings

LOOK_SECONDS = 0.5
"""How often the processes are asked what they have applied."""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for pipes.")
@click.option("--count", type=click.IntRange(min=1), help="End after so many changes.")
def watch(*, as_json: bool, count: int | None) -> None:
    """Show each change as it passes: when, of what, why, and how many milliseconds it took to each process.

    A line comes as soon as every API process has said that it has the change, or after three seconds without: then
    "?" stands for those that have not. Ctrl-C ends it.

    \b
    Settings (environment or .env), as the API and the listener have them:
      REDIS_URL     or REDIS_HOST, REDIS_PORT, REDIS_DB, REDIS_USERNAME, REDIS_PASSWORD
      CACHE_PREFIX  where it is not empty

    \b
    Exit codes:
      0  ended by Ctrl-C, SIGTERM or --count
      1  Redis does not answer, or the connection to it was lost
      2  a setting is wrong
    """  # noqa: D301 - click wants the character
    try:
        asyncio.run(until_stopped(follow(load_settings(), as_json=as_json, count=count)))
    except RedisUnavailable as error:
        raise RedisSilentError(error) from None


async def until_stopped(work: Coroutine[None, None, None]) -> None:
    """Do the work until it ends, or until Ctrl-C or SIGTERM ends it, which is as good."""
    working = asyncio.create_task(work)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, working.cancel)
    with suppress(asyncio.CancelledError):
        await working


async def follow(settings: CoherenceSettings, *, as_json: bool, count: int | None) -> None:
    """Print changes until `count` of them have passed. Raises RedisUnavailable."""
    printed = 0
    async with deployment(settings) as at, subscription(at) as pubsub:
        click.echo("watching; Ctrl-C ends it", err=True)
        witnesses = Witnesses()
        looked = 0.0
        while count is None or printed < count:
            await take(pubsub, at.names.database, witnesses)
            now = time.monotonic()
            if now - looked >= LOOK_SECONDS and witnesses.waiting:
                witnesses.hear(await present(at.redis, at.names, at.timeout))
                looked = now
            for passing in witnesses.told(now):
                click.echo(json.dumps(passing.as_document()) if as_json else passing.as_line())
                printed += 1
                if printed == count:
                    return


@asynccontextmanager
async def subscription(at: Deployment) -> AsyncIterator[PubSub]:
    """Subscribe to the changes. Raises RedisUnavailable."""
    pubsub = at.redis.pubsub()
    try:
        async with bounded(at.timeout):
            await pubsub.subscribe(at.names.changes)
        yield pubsub
    finally:
        await pubsub.aclose()  # type: ignore[no-untyped-call] # the library's


async def take(pubsub: PubSub, database: int, witnesses: Witnesses) -> None:
    """Wait a moment for a message, and hand on what it says."""
    async with bounded(None):
        message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=0.1)
    if message is None:
        return
    try:
        bump = Bump.from_wire(message["data"])
    except MalformedMessage as error:
        click.echo(f"a message that is not one of ours: {error}", err=True)
        return
    if bump.database == database:
        witnesses.see(Passing.of(bump), time.monotonic())
