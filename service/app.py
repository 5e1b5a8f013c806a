"""The composition root: everything that answers HTTP, wired."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import NoReturn

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.types import ASGIApp
from uvicorn.config import STARTUP_FAILURE

from coherence import events, logs
from coherence.clock import monotonic
from coherence.coherence import Coherence
from coherence.presence import Announcer
from coherence.settings import SettingsError
from coherence.tasks import end
from service.assets import TYPES, Asset
from service.auth import Authentication, admin_only
from service.boundary import Boundary, unrouted
from service.console.console import Console
from service.cors import Cors
from service.database import Database
from service.fast.application import Application
from service.fast.contract import differences
from service.fast.hits import Hits
from service.fast.known import KnownRequests
from service.fast.protocol import HITS
from service.health import Health
from service.journal import Journal
from service.memory import keep_freed_memory, settle
from service.metrics import Metrics
from service.multiprocess import share_metrics
from service.negotiation import Negotiation
from service.openapi.document import as_json
from service.openapi.paths import OPENAPI
from service.pages import DOCS
from service.presence import Describe, LatestApplied
from service.protocol import LEAVING
from service.queries import ANOMALIES, ANOMALY, NAMESPACES, QUESTIONS, TRANSACTIONS
from service.questions import Question
from service.rereading import Rereading
from service.routes.cached import Cached
from service.routes.changes import Invalidate, SetStatus
from service.routes.explain import Explain, ExplainKey
from service.routes.operations import Exposition, Livez, Readyz, Stats
from service.routes.resource import Resource
from service.settings import ServiceSettings
from service.supervision import Supervision
from service.telemetry import observer, telemetry
from service.warming import Warming

CLOSE_SECONDS = 2.0
SAMPLE_SECONDS = 1.0
"""How often the gauges are set, for the scrapes that another worker answers."""


def create_app(
    settings: ServiceSettings, *, on_failure: Callable[[], None], shared_metrics: Path | None = None
) -> Starlette:
    """Return the application. It connects to nothing before its lifespan starts.

    `on_failure` is called when a background task has died and the process should end. `shared_metrics` is what
    `share_metrics` returned.
    """
    metrics = Metrics(NAMESPACES, shared_metrics)
    applied = LatestApplied()
    journal = Journal(settings.policy)
    invalidated = [applied.note]
    traced = telemetry(settings.tracing, observer(metrics, journal, invalidated))
    database = Database(
        settings.database_url.get_secret_value(),
        size=settings.db_pool_size,
        statement_timeout=settings.db_statement_timeout_ms / 1000,
        observer=journal.database,
    )
    rereading = Rereading(QUESTIONS, database)
    coherence = Coherence(
        settings,
        l1_bytes=settings.cache_l1_max_bytes,
        max_loads=settings.max_loads,
        ack_timeout=settings.put_ack_timeout_ms / 1000,
        kept_changes=settings.cache_kept_changes,
        fleet_patience=settings.cache_fleet_wait_ms / 1000,
        refresh_ahead=settings.cache_refresh_ahead,
        codings=settings.codings,
        policy=settings.policy,
        audit_rate=settings.cache_audit_rate,
        reread=rereading if settings.cache_audit_rate else None,
        observer=traced.observer,
        trace=traced.trace,
    )

    negotiation = Negotiation(settings.codings)
    keys = settings.read_keys()
    hits = Hits(keys=keys, coherence=coherence, metrics=metrics, accepted=negotiation.accepted, traced=traced.traces)

    def cached(question: Question, ttl: float) -> Cached:
        return Cached(
            question,
            coherence=coherence,
            database=database,
            negotiation=negotiation,
            ttl=ttl,
            enabled=settings.cache_enabled,
            youngest=0.0 if settings.cache_fresh_reads == "everyone" else coherence.timing.bound,
            learn=hits.learn,
        )

    anomalies = cached(ANOMALIES, settings.cache_ttl_anomalies)
    warming = Warming(
        [ANOMALIES.ask(text, "") for text in settings.warm_query_strings] if settings.cache_enabled else [],
        cached=anomalies,
        coherence=coherence,
        timeout=settings.warm_timeout_seconds,
    )
    supervision = Supervision(on_failure)
    health = Health(
        coherence=coherence,
        database=database,
        warming=warming,
        supervision=supervision,
        cache_enabled=settings.cache_enabled,
    )
    anomaly: dict[str, ASGIApp] = {
        "GET": cached(ANOMALY, settings.cache_ttl_anomalies),
        "PUT": SetStatus(coherence=coherence, database=database),
    }
    describe = Describe(
        coherence=coherence, applied=applied, traffic=lambda: metrics.traffic(coherence), clock=monotonic
    )
    console = Console(coherence=coherence, health=health, describe=describe, clock=monotonic)
    invalidated.append(console.feed.note)
    explain_key = ExplainKey(coherence=coherence, written=rereading.query)
    has_console = settings.console == "on"
    resources = [
        Resource(ANOMALIES.path, {"GET": anomalies}),
        Resource(ANOMALY.path, anomaly),
        Resource(TRANSACTIONS.path, {"GET": cached(TRANSACTIONS, settings.cache_ttl_short)}),
        Resource("/api/v1/cache/stats", {"GET": Stats(coherence)}),
        Resource("/api/v1/cache/explain", {"GET": admin_only(Explain(ANOMALIES, coherence=coherence))}),
        Resource("/api/v1/cache/explain/{key}", {"GET": admin_only(explain_key)}),
        Resource("/api/v1/cache/invalidate", {"POST": admin_only(Invalidate(coherence=coherence))}),
        Resource("/livez", {"GET": Livez()}),
        Resource("/readyz", {"GET": Readyz(health)}),
        Resource("/metrics", {"GET": Exposition(metrics, coherence=coherence, database=database)}),
        Resource(OPENAPI, {"GET": Asset(partial(as_json, console=has_console), TYPES["json"])}),
        *DOCS.resources(),
        *(console.resources() if has_console else ()),
    ]

    announcer = Announcer(
        coherence.redis,
        coherence.names,
        timeout=coherence.redis_timeout,
        describe=describe,
        failed=lambda reason: traced.observer(events.Operated("presence", 0.0, reason)),
    )

    async def sample() -> NoReturn:
        while True:
            metrics.sample(coherence, database)
            metrics.readiness(ready=(await health.report()).ready)
            await asyncio.sleep(SAMPLE_SECONDS)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        servers = AsyncExitStack()
        await servers.enter_async_context(traced.running())
        supervision.watch(await servers.enter_async_context(database.running()))
        supervision.watch(await servers.enter_async_context(coherence.running()))
        tasks = [
            asyncio.create_task(sample(), name="sampling"),
            asyncio.create_task(announcer.run(), name="announcing"),
            asyncio.create_task(console.feed.run(), name="consoles"),
        ]
        for task in tasks:
            supervision.watch(task)
        warming_up = asyncio.create_task(warming.run(), name="warming")
        supervision.watch(warming_up, may_end=True)
        try:
            yield
        finally:
            supervision.stop()
            await end(*tasks, warming_up)
            await close(servers)
            metrics.hand_over()
            journal.flush()

    app = Application(
        hits,
        # A trace has a span for each request, which only the middleware makes.
        known=None if traced.traces else Boundary(KnownRequests(resources), count=metrics.requests.count),
        shared={
            LEAVING: console.feed.close,
            **({HITS: hits} if settings.http_fast_path == "auto" and _uvicorn_is_known() else {}),
        },
        routes=[resource.route() for resource in resources],
        middleware=[
            *traced.middleware,
            *([Middleware(Cors, origins=settings.origins, count=metrics.requests.count)] if settings.origins else []),
            Middleware(Boundary, count=metrics.requests.count),
            Middleware(Authentication, keys=keys),
        ],
        exception_handlers={HTTPException: unrouted},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    return app


def _uvicorn_is_known() -> bool:
    found = differences()
    if found:
        log: structlog.stdlib.BoundLogger = structlog.get_logger("service")
        log.warning("HTTP_FAST_PATH is off: this uvicorn is another", uvicorn=uvicorn.__version__, differences=found)
    return not found


async def close(servers: AsyncExitStack) -> None:
    """Close the connections, or leave them to the process' end where that takes too long: a server may hang."""
    with suppress(TimeoutError):
        async with asyncio.timeout(CLOSE_SECONDS):
            await servers.aclose()


def create() -> Starlette:
    """Return the application for `uvicorn --factory service.app:create`, with any number of workers.

    The settings come from the environment; where they are wrong, the process ends.
    """
    try:
        settings = ServiceSettings.load()
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        # Any other code, and uvicorn starts the worker again and again.
        sys.exit(STARTUP_FAILURE)
    logs.configure(settings.log_level, settings.log_format)
    keep_freed_memory()
    app = create_app(settings, on_failure=lambda: signal.raise_signal(signal.SIGTERM), shared_metrics=share_metrics())
    settle()
    return app
