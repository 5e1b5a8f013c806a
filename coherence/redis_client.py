"""Connections to Redis, and calls that end in time, in one of two ways."""

import asyncio
from types import TracebackType
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from coherence.settings import CoherenceSettings

CONTROL_CONNECTIONS = 4
"""Connections beside the data's pool: the subscription, the poll, a bump and an acknowledgement."""


class RedisUnavailable(Exception):  # noqa: N818 - a state of the world, not a fault of the program
    """Redis did not answer, or not in time, or answered with an error. The cause is chained."""


def connect(settings: CoherenceSettings, *, connections: int) -> Redis:
    """Return a client with a pool of at most `connections`; it connects when it is first used.

    Nothing is tried twice and nothing waits longer than REDIS_TIMEOUT_MS: what to do about a failure is the
    caller's business.
    """
    seconds = settings.redis_timeout_ms / 1000
    options: dict[str, Any] = {
        "max_connections": connections,
        "timeout": seconds,
        # `bounded` limits every call. redis-py's own limit is an asyncio.wait_for, which can lose a cancel.
        "socket_timeout": None,
        "socket_connect_timeout": seconds,
        "socket_keepalive": True,
        # Without errors to retry on, a subscription that is lost raises at once, before it would connect again.
        "retry": Retry(NoBackoff(), 0, supported_errors=()),
        "protocol": 2,
        # Redis 7.0 does not know CLIENT SETINFO: no user can be allowed it there.
        "driver_info": None,
    }
    if settings.redis_url is not None:
        pool = BlockingConnectionPool.from_url(settings.redis_url.get_secret_value(), **options)
    else:
        password = settings.redis_password.get_secret_value() if settings.redis_password else None
        pool = BlockingConnectionPool(
            host=settings.redis_host,
            port=settings.redis_port,
            db=settings.redis_db,
            username=settings.redis_username,
            password=password,
            **options,
        )
    return Redis.from_pool(pool)


def database_of(redis: Redis) -> int:
    """Return the number of the database that a client talks to."""
    return int(redis.connection_pool.connection_kwargs.get("db") or 0)


class bounded:  # noqa: N801 - it is used as a function
    """Gives what is done inside at most `seconds` (None: as long as it takes).

    Every way in which Redis fails becomes RedisUnavailable. No generator, for its price: each message and each command
    goes through this.
    """

    __slots__ = ("_timeout",)

    def __init__(self, seconds: float | None) -> None:
        self._timeout = None if seconds is None else asyncio.timeout(seconds)

    async def __aenter__(self) -> None:
        """Begin."""
        if self._timeout is not None:
            await self._timeout.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End. Raises RedisUnavailable."""
        try:
            if self._timeout is not None:
                await self._timeout.__aexit__(kind, error, traceback)
        except TimeoutError as late:
            raise unavailable(late) from late
        # uvloop reports a reset connection as a RuntimeError.
        if isinstance(error, (RedisError, OSError)) or (isinstance(error, RuntimeError) and "closed" in str(error)):
            raise unavailable(error) from error


def unavailable(error: Exception) -> RedisUnavailable:
    """Return what `error`, which says how Redis failed, is to those who asked it: its cause."""
    raised = RedisUnavailable(describe(error))
    raised.__cause__ = error
    return raised


def describe(error: BaseException) -> str:
    """Return what an error is, in a few words without addresses or secrets."""
    return f"{type(error).__name__}: {str(error)[:200]}".rstrip(": ")
