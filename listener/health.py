"""The listener's HTTP: `/livez`, `/readyz` and `/metrics`."""

import socket
from collections.abc import Generator
from contextlib import contextmanager

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from listener.metrics import Metrics
from listener.status import Status

GOODBYE_SECONDS = 1
"""How long the answers under way may take when the listener stops."""


def create_health(status: Status, metrics: Metrics) -> Starlette:
    """Return the application."""

    async def livez(_: Request) -> Response:
        """Say that the process runs; whether it serves is `/readyz`' to say."""
        return JSONResponse({"status": "alive"})

    async def readyz(_: Request) -> Response:
        report = status.report()
        return JSONResponse(report.body, 200 if report.ready else 503, headers={"Cache-Control": "no-store"})

    async def exposition(_: Request) -> Response:
        return Response(metrics.exposition(), media_type=CONTENT_TYPE_LATEST)

    return Starlette(routes=[Route("/livez", livez), Route("/readyz", readyz), Route("/metrics", exposition)])


class HealthServer(uvicorn.Server):
    """A server within a program that handles signals itself. Set `should_exit` to end it."""

    def __init__(self, app: Starlette) -> None:
        config = uvicorn.Config(
            app, lifespan="off", access_log=False, log_config=None, timeout_graceful_shutdown=GOODBYE_SECONDS
        )
        super().__init__(config)

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave the signals alone."""
        yield


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that listens on `host` and `port`. Raises OSError."""
    family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    return socket.create_server(address[:2], family=family)
