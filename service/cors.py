"""Pages of other origins: what a browser lets them ask, and see of the answers (CORS)."""

from collections.abc import Collection
from http import HTTPStatus
from time import perf_counter

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from service.boundary import METHODS, Count
from service.problems import Problem

PREFLIGHT = "preflight"
"""What preflights are counted under: they are answered for any path."""

ASKED = ("Cache-Control", "Cache-Generation", "If-Match", "If-None-Match", "X-API-Key")
SHOWN = ("Age", "Allow", "Cache-Generation", "Cache-Status", "ETag", "Link", "Retry-After", "WWW-Authenticate")


class Cors:
    """ASGI middleware, outside of everything: a page may read errors, too, and a preflight has no key.

    A request without an Origin passes it by. Credentials are not allowed for: a key is sent in a header. `count` is
    the Boundary's, which preflights do not reach.
    """

    def __init__(self, app: ASGIApp, origins: Collection[str], count: Count) -> None:
        self._app = app
        self._count = count
        self._cors = CORSMiddleware(
            app, allow_origins=origins, allow_methods=METHODS, allow_headers=ASKED, expose_headers=SHOWN
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer a preflight."""
        if scope["type"] != "http" or not any(name == b"origin" for name, _ in scope["headers"]):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            await self._preflight(headers, scope, receive, send)
        else:
            await self._cors(scope, receive, send)

    async def _preflight(self, asked: Headers, scope: Scope, receive: Receive, send: Send) -> None:
        started = perf_counter()
        response = self._cors.preflight_response(asked)
        try:
            if response.status_code == HTTPStatus.BAD_REQUEST:
                headers = [field for field in response.raw_headers if not field[0].startswith(b"content-")]
                detail = bytes(response.body).decode()
                await Problem(HTTPStatus.BAD_REQUEST, "preflight-refused", detail, headers=headers).send(scope, send)
            else:
                await response(scope, receive, send)
        finally:
            self._count(PREFLIGHT, scope["method"], response.status_code, perf_counter() - started)
