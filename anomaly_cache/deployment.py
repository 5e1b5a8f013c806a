"""The Redis of a deployment, as the commands that look at it see it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import click
from redis.asyncio import Redis

from anomaly_cache.config import WrongSettingsError
from coherence.keys import Names
from coherence.redis_client import RedisUnavailable, connect, database_of
from coherence.settings import CoherenceSettings, SettingsError

CONNECTIONS = 2


@dataclass(frozen=True, slots=True)
class Deployment:
    """Where a deployment's processes meet. `timeout` bounds each command, `bound` is the promise; in seconds."""

    redis: Redis
    names: Names
    timeout: float
    bound: float


class RedisSilentError(click.ClickException):
    """Redis cannot be asked; the message says why, and where to look."""

    def __init__(self, error: RedisUnavailable) -> None:
        super().__init__(
            f"Redis does not answer: {error}\n"
            "Does it run, and is it where REDIS_URL (or REDIS_HOST, REDIS_PORT, REDIS_PASSWORD) says?"
        )


def load_settings() -> CoherenceSettings:
    """Return the settings that say where Redis is. Raises WrongSettingsError."""
    try:
        return CoherenceSettings.load()
    except SettingsError as error:
        raise WrongSettingsError(str(error)) from None


@asynccontextmanager
async def deployment(settings: CoherenceSettings) -> AsyncIterator[Deployment]:
    """Give access to the Redis of `settings`; it is connected to when it is first asked."""
    redis = connect(settings, connections=CONNECTIONS)
    try:
        names = Names(settings.cache_prefix, database_of(redis))
        yield Deployment(redis, names, settings.redis_timeout_ms / 1000, settings.cache_max_staleness_seconds)
    finally:
        await redis.aclose()
