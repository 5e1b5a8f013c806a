"""The outermost layer: every request is counted, and every way to fail is answered with a problem document."""

from collections.abc import Callable
from http import HTTPStatus
from time import perf_counter

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from coherence.gate import Overloaded
from service.problems import Problem, not_found, unavailable

UNMATCHED = "unmatched"
TEMPLATE = "anomaly_cache.template"
"""Where in an ASGI scope the template of the request's route stands."""

ANSWERED = "anomaly_cache.answered"
"""Where in it stands when the answer was there (as `perf_counter` has it), for one that goes on without end."""

CLIENT_WENT = 499
"""What nginx logs where a client does not wait for its answer."""


METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT")
"""What there is at one path or another."""


async def unrouted(request: Request, error: Exception) -> Response:
    """Turn the router's own exceptions into problems; to be used as a Starlette exception handler.

    `OPTIONS *` asks for no path, but whether the server is there, and what it can do.
    """
    if request.method == "OPTIONS" and request.scope["path"] == "*":
        return Response(status_code=HTTPStatus.NO_CONTENT, headers={"Allow": ", ".join(METHODS)})
    if isinstance(error, HTTPException) and error.status_code == HTTPStatus.NOT_FOUND:
        raise not_found("there is nothing at this path; /docs says where there is something") from None
    raise error


Count = Callable[[str, str, int, float], None]
"""Called once a request: `count(route template, method, status, seconds)`."""


class Boundary:
    """ASGI middleware that counts."""

    def __init__(self, app: ASGIApp, count: Count) -> None:
        self._app = app
        self._count = count
        self._log: structlog.stdlib.BoundLogger = structlog.get_logger("service")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and answer it where that fails."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = perf_counter()
        status = 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except ClientDisconnect:
            status = CLIENT_WENT
        except Exception as error:
            if status:
                raise
            await self._problem_of(scope, error).send(scope, watched)
        finally:
            code = status or HTTPStatus.INTERNAL_SERVER_ERROR
            seconds = scope.get(ANSWERED, perf_counter()) - started
            self._count(scope.get(TEMPLATE, UNMATCHED), scope["method"], code, seconds)

    def _problem_of(self, scope: Scope, error: Exception) -> Problem:
        if isinstance(error, Problem):
            return error
        if isinstance(error, Overloaded):
            return unavailable("overloaded", "too many requests wait for the database", error.retry_after)
        route = scope.get(TEMPLATE, UNMATCHED)
        self._log.error("request failed", method=scope["method"], route=route, exc_info=error)
        return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal-error", "something went wrong; the log says what")
