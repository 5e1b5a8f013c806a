"""What is at one path: a handler for each method."""

from collections.abc import Mapping
from http import HTTPStatus

from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from service.boundary import TEMPLATE
from service.problems import Problem, not_found


class Resource:
    """An ASGI application that has each method's requests handled. A HEAD is handled like a GET, its body left out.

    An OPTIONS is told the methods.

    `template` is the path, at most one name in braces in it. The name's value may hold anything that the client has
    percent-encoded, slashes too; it is in `scope["path_params"]`.
    """

    def __init__(self, template: str, handlers: Mapping[str, ASGIApp]) -> None:
        self.template = template
        self._handlers = dict(handlers)
        self.get = handlers.get("GET")
        if "GET" in handlers:
            self._handlers["HEAD"] = handlers["GET"]
        self._handlers["OPTIONS"] = self._options
        self._allow = ", ".join(sorted(self._handlers)).encode()
        self._slashes = template.count("/")

    def route(self) -> Route:
        """Return the route that leads here."""
        return Route(self.template.replace("}", ":path}"), self)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request. Raises the 404 or 405 Problem."""
        if scope["path_params"]:
            self._check_depth(scope)
        scope[TEMPLATE] = self.template
        handler = self._handlers.get(scope["method"])
        if handler is None:
            raise Problem(
                HTTPStatus.METHOD_NOT_ALLOWED,
                "method-not-allowed",
                f"this path takes {self._allow.decode()}",
                headers=[(b"allow", self._allow)],
            )
        await handler(scope, receive, send)

    async def _options(self, _: Scope, __: Receive, send: Send) -> None:
        headers = [(b"allow", self._allow)]
        await send({"type": "http.response.start", "status": HTTPStatus.NO_CONTENT, "headers": headers})
        await send({"type": "http.response.body"})

    def _check_depth(self, scope: Scope) -> None:
        (value,) = scope["path_params"].values()
        raw = scope.get("raw_path") or scope["path"].encode()
        below_root = self._slashes + scope.get("root_path", "").count("/")
        if not value or ("/" in value and raw.partition(b"?")[0].count(b"/") > below_root):
            raise not_found("there is nothing at this path")
