"""The `api` command."""

import sys

import click

from coherence import logs
from coherence.settings import SettingsError
from service.server import serve
from service.settings import ServiceSettings


@click.command()
def api() -> None:
    """Serve the HTTP API: anomalies and transactions, read through the cache.

    Answers come from this process' memory, from Redis, or from Postgres. Cached ones are used only while a listener
    vouches that the caches were told of every commit; without one, and without Redis, every answer comes from Postgres.
    It can start before Postgres, Redis and the listener. Run as many as you like.

    \b
    Settings (environment or .env; docs/configuration.md has them all):
      DATABASE_URL                 Postgres, the primary; required
      API_KEYS                     role=key,role=key (roles: analyst, admin); or
      API_KEYS_FILE                a file with the same; one of the two is required
      API_HOST, API_PORT           where to listen (127.0.0.1, 8000)
      REDIS_URL                    or REDIS_HOST, REDIS_PORT, REDIS_DB, REDIS_USERNAME, REDIS_PASSWORD
      CACHE_MAX_STALENESS_SECONDS  the promise, as the listener has it (default 2.0)
      CACHE_PREFIX                 as the listener has it
      CACHE_TTL_ANOMALIES, CACHE_TTL_SHORT
                                   seconds that answers are kept (60, 30)
      DB_POOL_SIZE                 Postgres connections (10)
      LOG_LEVEL, LOG_FORMAT        INFO, json or console
      TRACING                      on: OpenTelemetry, with the extra otel (off)

    \b
    Without a key: /livez, /readyz, /metrics. With one: /api/v1/anomalies and so on.

    \b
    Exit codes:
      0  stopped by SIGTERM or SIGINT
      1  the port is taken, or a fault; the log says which
      2  a setting is missing or wrong; a line for each says what

    \b
    Several workers on one port:
      uvicorn --factory service.app:create --workers 4 --no-access-log --http service.fast.protocol:Protocol
    """  # noqa: D301 - click wants the character
    try:
        settings = ServiceSettings.load()
    except SettingsError as error:
        click.echo(str(error), err=True)
        sys.exit(2)
    logs.configure(settings.log_level, settings.log_format)
    sys.exit(serve(settings))
