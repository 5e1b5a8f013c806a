"""Pages of other origins: what a browser lets them ask, and see of the answers (CORS)."""

from collections.abc import Collection

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT")
ASKED = ("Cache-Control", "Cache-Generation", "If-None-Match", "X-API-Key")
SHOWN = ("Age", "Allow", "Cache-Generation", "Cache-Status", "ETag", "Link", "Retry-After", "WWW-Authenticate")


class Cors:
    """ASGI middleware, outside of everything: a page may read errors, too, and a preflight has no key.

    A request without an Origin passes it by. Credentials are not allowed for: a key is sent in a header.
    """

    def __init__(self, app: ASGIApp, origins: Collection[str]) -> None:
        self._app = app
        self._cors = CORSMiddleware(
            app, allow_origins=origins, allow_methods=METHODS, allow_headers=ASKED, expose_headers=SHOWN
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer a preflight."""
        named = scope["type"] == "http" and any(name == b"origin" for name, _ in scope["headers"])
        await (self._cors if named else self._app)(scope, receive, send)
