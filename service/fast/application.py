"""The ASGI application: plain hits are answered here, what else was asked before next to it, all else by Starlette."""

from collections.abc import Mapping
from time import perf_counter
from typing import Any

from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from service.fast.asking import ASKING
from service.fast.hits import Hits


class Application(Starlette):
    """Starlette, with the hit path ahead of it.

    `known` answers requests whose scope says what they ask, without middleware; None: Starlette does. `shared` is put
    into the lifespan's state, for the server.
    """

    def __init__(self, hits: Hits, *, known: ASGIApp | None, shared: Mapping[str, Any], **options: Any) -> None:
        super().__init__(**options)
        self._hits = hits
        self._known = known
        self._shared = shared

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or run the lifespan."""
        if scope["type"] == "http":
            started = perf_counter()
            asking, ready = scope.get(ASKING), None
            if asking is None:
                asking = self._hits.read_scope(scope)
                ready = self._hits.answer(asking) if asking is not None else None
            if ready is not None:
                try:
                    headers = list(ready.headers)
                    await send({"type": "http.response.start", "status": ready.status, "headers": headers})
                    await send({"type": "http.response.body", "body": ready.body})
                finally:
                    ready.tally.add(perf_counter() - started)
                return
            if asking is not None and self._known is not None:
                scope[ASKING] = asking
                await self._known(scope, receive, send)
                return
        elif scope["type"] == "lifespan" and "state" in scope:
            scope["state"].update(self._shared)
        await super().__call__(scope, receive, send)
