"""Requests that came before and are no plain hits now: answered as their routes would, without routing them again."""

from collections.abc import Iterable

from starlette.types import Receive, Scope, Send

from service.auth import ROLE, Role
from service.boundary import TEMPLATE
from service.fast.asking import ASKING
from service.routes.cached import Cached
from service.routes.resource import Resource


class KnownRequests:
    """An ASGI application for requests whose scope says what they ask of one of `resources`."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        self._cached = {each.template: each.get for each in resources if isinstance(each.get, Cached)}

    async def __call__(self, scope: Scope, _: Receive, send: Send) -> None:
        """Answer one, as its route would."""
        query, _at_least, form = scope[ASKING]
        scope[ROLE] = Role.ANALYST
        scope[TEMPLATE] = form.template
        await self._cached[form.template].give(query, scope, send)
