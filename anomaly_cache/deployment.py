"""The Redis of a deployment, as the commands that look at it see it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from redis.asyncio import Redis

from anomaly_cache.config import WrongSettingsError
from coherence.keys import Names
from coherence.redis_client import connect, database_of
from coherence.settings import CoherenceSettings, SettingsError

CONNECTIONS = 2


@dataclass(frozen=True, slots=True)
class Deployment:
    """Where a deployment's processes meet. `timeout` bounds each command, `bound` is the promise; in seconds."""

    redis: Redis
    names: Names
    timeout: float
    bound: float


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
