"""The `listener` command."""

import sys

import click
import uvloop

from coherence.deadline import leave_within
from coherence.logs import configure
from coherence.settings import SettingsError
from listener.program import serve
from listener.settings import ListenerSettings

THREADS_SECONDS = 1.0
"""How long threads may go on when all else has ended."""

_HELP = """\
Turn what Postgres announces into cache generations in Redis, and vouch for them with a lease.

The API serves cached answers only while a listener vouches that the caches were told of every commit. Run at least
one; run two for a take-over within a second (one is active, the others are on standby). It keeps nothing: stop and
start it as you like. It can start before Postgres and Redis.

\b
Settings (environment or .env):
  DATABASE_URL                 Postgres; required
  LISTENER_DATABASE_URL        … for the listener, where the other leads through a
                               transaction pooler or to a standby
  REDIS_URL                    or REDIS_HOST, REDIS_PORT, REDIS_DB, REDIS_USERNAME, REDIS_PASSWORD
  CACHE_PREFIX                 as the API has it
  CACHE_MAX_STALENESS_SECONDS  as the API has it (default 2.0)
  LISTENER_HEALTH_HOST, LISTENER_HEALTH_PORT
                               where /livez, /readyz and /metrics are (127.0.0.1, 8081)
  LOG_LEVEL, LOG_FORMAT        INFO, json or console
  TRACING                      on: OpenTelemetry, with the extra otel (off)

\b
Exit codes:
  0  stopped by SIGTERM or SIGINT
  1  Postgres cannot serve a listener (a hot standby, or behind a transaction
     pooler), the health port is taken, or a fault; the log says which
  2  a setting is missing or wrong; a line for each says what
"""


@click.command(help=_HELP)
def listener() -> None:
    """Run a listener until SIGTERM or SIGINT, and exit with its code."""
    try:
        settings = ListenerSettings.load()
    except SettingsError as error:
        click.echo(str(error), err=True)
        sys.exit(2)
    configure(settings.log_level, settings.log_format)
    sys.exit(uvloop.run(_run(settings)))


async def _run(settings: ListenerSettings) -> int:
    code = await serve(settings)
    leave_within(THREADS_SECONDS, code)
    return code
