"""The API as a program: a socket, uvicorn on it, and an exit code that says how it ended."""

import asyncio
import signal
import socket
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

import structlog
import uvicorn
from starlette.applications import Starlette

from coherence.deadline import leave_within
from service.app import create_app
from service.fast.protocol import Protocol
from service.memory import keep_freed_memory, settle
from service.multiprocess import share_metrics
from service.protocol import LimitedProtocol
from service.settings import ServiceSettings

GOODBYE_SECONDS = 6
"""How long requests under way may take when the server stops; what follows takes at most 3 s more."""

LAST_SECONDS = 9.5
"""When a process that was told to stop ends, whatever it waits for."""

THREADS_SECONDS = 1.0
"""How long threads may go on when all else has ended."""

KEEP_ALIVE_SECONDS = 75
"""Longer than proxies keep an idle connection: none sends a request into one that we are closing."""


class Server(uvicorn.Server):
    """uvicorn, ended by signals without dying of them. A second signal ends it without waiting for requests."""

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Take SIGTERM and SIGINT while inside, and do not raise them again afterwards: they mean exit code 0."""
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        """Stop; at once, when told twice."""
        if self.should_exit:
            self.force_exit = True
        else:
            leave_within(LAST_SECONDS, 0)
        self.should_exit = True


def bind(host: str, port: int) -> socket.socket:
    """Return a socket bound to `host` and `port`, on which nobody listens yet. Raises OSError."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound


def serve(settings: ServiceSettings) -> int:
    """Run the API until a signal or a fault ends it; return the exit code: 0 after a signal, 1 otherwise."""
    log: structlog.stdlib.BoundLogger = structlog.get_logger("service")
    try:
        bound = bind(settings.api_host, settings.api_port)
    except OSError as error:
        log.error(  # noqa: TRY400 - the reason says it all
            "API_HOST and API_PORT cannot be used",
            address=f"{settings.api_host}:{settings.api_port}",
            reason=error.strerror or str(error),
        )
        return 1
    code = 0

    def fail() -> None:
        nonlocal code
        code = 1
        server.should_exit = True

    keep_freed_memory()
    app = create_app(settings, on_failure=fail, shared_metrics=share_metrics())
    fast = settings.http_fast_path == "auto"
    server = Server(configuration(app, Protocol if fast else LimitedProtocol))
    settle()
    with bound:
        log.info("api started", url=_url(bound), max_staleness_seconds=settings.cache_max_staleness_seconds)
        with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
            runner.run(server.serve([bound]))
            log.info("api stopped", exit_code=code)
            leave_within(THREADS_SECONDS, code)
    return code


def configuration(app: Starlette, protocol: type[LimitedProtocol]) -> uvicorn.Config:
    """Return uvicorn's configuration: no access log, no WebSockets, nothing before the application."""
    return uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GOODBYE_SECONDS,
    )


def _url(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
