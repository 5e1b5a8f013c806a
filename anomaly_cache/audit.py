"""`anomaly-cache audit`: find out in production whether the cache keeps its promise."""

import asyncio
import signal
import sys
from contextlib import suppress

import click
from prometheus_client import CollectorRegistry, start_http_server

from anomaly_cache.admin import AdminSettings
from anomaly_cache.auditing import Report, auditing
from anomaly_cache.config import WrongSettingsError
from coherence import logs
from coherence.audit import Outcome
from coherence.settings import SettingsError
from service.audit_metrics import AuditMetrics
from service.queries import NAMESPACES

SUMMARY_SECONDS = 60.0
VIOLATIONS_FOUND = 3


@click.command()
@click.option(
    "--rate",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.001,
    show_default=True,
    help="Which share of the entries that are met is read again.",
)
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="End after so long. Default: never.")
@click.option("--metrics-port", type=click.IntRange(1, 65_535), help="Serve Prometheus metrics here. Default: nowhere.")
def audit(*, rate: float, seconds: float | None, metrics_port: int | None) -> None:
    """Read cached answers from Postgres again, and tell whether they were right.

    Goes through what Redis holds, again and again, meets at most 1,000 entries a second, each at most once a second,
    and looks at a share of them that API processes would serve now. One that differs from Postgres is a violation only
    if the process' proof covers the change that made the difference, and nothing was announced that explains it; a
    change on its way is none. A violation is one log line with all that is known of it.

    It may be left running beside the API. It takes one connection to Postgres, reads one answer at a time, and for at
    most a twentieth of the time. It does not see what API processes have in their own memory: to audit what is really
    answered, set CACHE_AUDIT_RATE for these.

    \b
    Settings (environment or .env), as the API has them:
      DATABASE_URL  Postgres, the primary, as a user who may read the tables, such as the API's; required
      REDIS_URL     or REDIS_HOST, REDIS_PORT, REDIS_DB, REDIS_USERNAME, REDIS_PASSWORD
      CACHE_MAX_STALENESS_SECONDS, CACHE_PREFIX, CACHE_INVALIDATION

    \b
    Exit codes:
      0  ended by SIGTERM, Ctrl-C or --seconds; no violation was found
      1  a fault; or --seconds were over and nothing could be looked at
      2  a setting or an option is wrong
      3  a violation was found
    """  # noqa: D301 - click wants the character
    try:
        settings = AdminSettings.load()
    except SettingsError as error:
        raise WrongSettingsError(str(error)) from None
    logs.configure(settings.log_level, settings.log_format)
    registry = CollectorRegistry()
    metrics = AuditMetrics(registry, NAMESPACES)
    if metrics_port is not None:
        try:
            start_http_server(metrics_port, registry=registry)
        except OSError as error:
            raise click.ClickException(f"--metrics-port {metrics_port} cannot be used: {error.strerror}") from None
    report = Report(metrics.audited)
    asyncio.run(_run(settings, rate, seconds, report))
    report.sum_up()
    if report.outcomes[Outcome.VIOLATION]:
        sys.exit(VIOLATIONS_FOUND)
    if seconds is not None and not report.checks:
        raise click.ClickException("nothing could be looked at: no lease, or nothing is cached")


async def _run(settings: AdminSettings, rate: float, seconds: float | None, report: Report) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    url = settings.database_url.get_secret_value()
    async with auditing(settings, url, rate=rate, report=report) as task:
        stopping = asyncio.create_task(stopped.wait())
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not stopping.done() and not task.done():
                    await asyncio.wait([stopping, task], timeout=SUMMARY_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                    if not stopping.done():
                        report.sum_up()
        stopping.cancel()
        if task.done():
            task.result()
