"""The listener as a program: everything wired, and run until a signal or a fault ends it."""

import asyncio
import signal
import socket
from contextlib import nullcontext

import structlog
from redis.asyncio import Redis

from coherence.clock import monotonic
from coherence.deadline import leave_within
from coherence.generation import GenerationKey, untraced
from coherence.keys import Names
from coherence.presence import Announcer
from coherence.redis_client import connect, database_of
from coherence.tasks import end
from coherence.timing import Timing
from listener.daemon import Listener, statement_limit
from listener.events import Event
from listener.health import GOODBYE_SECONDS, HealthServer, bind, create_health
from listener.journal import Journal
from listener.lock import lock_key
from listener.metrics import Metrics
from listener.presence import Describe
from listener.settings import ListenerSettings
from listener.source import Unsuitable, open_source
from listener.status import Status
from listener.sweeper import Sweeper

LAST_SECONDS = 9.5
"""When a listener that was told to stop ends, whatever it waits for."""

_REDIS_CONNECTIONS = 2  # one for the sweeps, one to say that we are there


async def serve(settings: ListenerSettings) -> int:
    """Run a listener until SIGTERM or SIGINT, and return the exit code: 0 then, 1 if anything else ended it."""
    log: structlog.stdlib.BoundLogger = structlog.get_logger("listener")
    try:
        wire = bind(settings.listener_health_host, settings.listener_health_port)
    except OSError as error:
        address = f"{settings.listener_health_host}:{settings.listener_health_port}"
        log.error(  # noqa: TRY400 - the reason says it all
            "LISTENER_HEALTH_PORT cannot be used", address=address, reason=str(error)
        )
        return 1
    redis = connect(settings, connections=_REDIS_CONNECTIONS)
    # The protocol has one of its own: in a failover, two could lead to two servers, and what is proven to one of them
    # be said to the other.
    protocol = connect(settings, connections=1)
    try:
        return await _run(settings, redis, protocol, wire, log)
    finally:
        wire.close()
        await redis.aclose()
        await protocol.aclose()


async def _run(
    settings: ListenerSettings,
    redis: Redis,
    protocol: Redis,
    wire: socket.socket,
    log: structlog.stdlib.BoundLogger,
) -> int:
    loop = asyncio.get_running_loop()
    timing = Timing.from_bound(settings.cache_max_staleness_seconds)
    names = Names(settings.cache_prefix, database_of(redis))
    timeout = settings.redis_timeout_ms / 1000
    status = Status()
    metrics = Metrics(status)
    journal = Journal(log, later=loop.call_later)

    def observe(event: Event) -> None:
        status(event)
        metrics(event)
        journal(event)

    spans = None
    if settings.tracing == "on":
        from listener.tracing import Spans  # noqa: PLC0415 - it needs the extra `otel`

        spans = Spans(observe)

    sweeper = Sweeper(redis, names, timeout=timeout, observer=observe)
    listener = Listener(
        lambda: open_source(settings.source_url, limit=statement_limit(timing)),
        key=GenerationKey(protocol, names, timeout, untraced if spans is None else spans.begin_bump),
        sweeper=sweeper,
        lock=lock_key(_address(redis), settings.cache_prefix),
        timing=timing,
        by_rows=settings.cache_invalidation == "rows",
        observer=spans or observe,
        clock=monotonic,
    )
    announcer = Announcer(
        redis,
        names,
        timeout=timeout,
        describe=Describe(status, timing=timing, clock=monotonic),
        failed=lambda reason: log.debug("presence not told", reason=reason),
    )
    health = HealthServer(create_health(status, metrics))
    stop = asyncio.Event()

    def told_to_stop() -> None:
        leave_within(LAST_SECONDS, 0)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told_to_stop)
    port: int = wire.getsockname()[1]
    log.info("listener started", health_port=port, max_staleness_seconds=timing.bound)

    async with nullcontext() if spans is None else spans.running():
        code = await _until_stopped(listener, sweeper, announcer, health, wire=wire, stop=stop, log=log)
    journal.flush()
    log.info("listener stopped", exit_code=code)
    return code


async def _until_stopped(
    listener: Listener,
    sweeper: Sweeper,
    announcer: Announcer,
    health: HealthServer,
    *,
    wire: socket.socket,
    stop: asyncio.Event,
    log: structlog.stdlib.BoundLogger,
) -> int:
    """Run everything until `stop` is set or something ends by itself, end it, and return the exit code for that."""
    listening = asyncio.create_task(listener.run(), name="listener")
    sweeping = asyncio.create_task(sweeper.run(), name="sweeper")
    announcing = asyncio.create_task(announcer.run(), name="announcing")
    answering = asyncio.create_task(health.serve([wire]), name="health")
    stopping = asyncio.create_task(stop.wait(), name="stop")
    tasks = (listening, sweeping, announcing, answering)
    await asyncio.wait((*tasks, stopping), return_when=asyncio.FIRST_COMPLETED)
    code = 0 if stop.is_set() else _fault(log, *tasks)

    listener.stop()
    health.should_exit = True
    await asyncio.wait((listening, answering), timeout=GOODBYE_SECONDS)
    await end(*tasks, stopping)
    await asyncio.gather(*tasks, stopping, return_exceptions=True)
    return code


def _fault(log: structlog.stdlib.BoundLogger, *tasks: asyncio.Task[None]) -> int:
    """Report why a task that should run for ever has ended, and return the exit code for that."""
    for task in tasks:
        if not task.done():
            continue
        error = task.exception()
        if isinstance(error, Unsuitable):
            log.error("postgres is of no use for a listener", reason=str(error))
        else:
            log.error("task ended", task=task.get_name(), exc_info=error)
    return 1


def _address(redis: Redis) -> str:
    options = redis.connection_pool.connection_kwargs
    return f"{options.get('path') or options.get('host')}:{options.get('port')}/{database_of(redis)}"
