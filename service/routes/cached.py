"""GET of what a Question describes: through the cache, with validators."""

from functools import partial

from starlette.types import Receive, Scope, Send

from coherence.cache import Answer, Content
from coherence.changes import parse_generation
from coherence.coherence import Coherence
from coherence.query import Query
from service.auth import ROLE, Role
from service.cache_status import cache_status
from service.conditional import none_match
from service.database import Database
from service.problems import Fault, invalid
from service.queries import Question
from service.responses import JSON, NO_STORE, Header, respond

CACHE_GENERATION = b"cache-generation"
PRIVATE: Header = (b"cache-control", b"private, no-cache")
_FRESH_DIRECTIVES = {b"no-cache", b"no-store", b"max-age=0"}


class Cached:
    """An ASGI handler. `ttl` is in seconds; `enabled` is whether the cache may answer at all."""

    def __init__(
        self, question: Question, *, coherence: Coherence, database: Database, ttl: float, enabled: bool
    ) -> None:
        self._question = question
        self._coherence = coherence
        self._database = database
        self._ttl = ttl
        self._enabled = enabled

    async def __call__(self, scope: Scope, _: Receive, send: Send) -> None:
        """Answer a GET or HEAD."""
        query = self._question.ask(scope["query_string"], scope["path_params"].get(self._question.path_parameter, ""))
        bypass = "admin" if scope[ROLE] is Role.ADMIN else None if self._enabled else "disabled"
        at_least = 0
        known: list[bytes] = []
        for name, value in scope["headers"]:
            if name == b"if-none-match":
                known.append(value)
            elif name == CACHE_GENERATION:
                at_least = max(at_least, generation_of(value))
            elif name == b"cache-control" and bypass is None and asks_for_fresh(value):
                bypass = "request"
        answer = await self.answer(query, bypass=bypass, at_least=at_least)
        etag = answer.etag.encode()
        headers = [
            JSON,
            (b"etag", etag),
            NO_STORE if bypass == "admin" else PRIVATE,
            (b"cache-status", cache_status(answer)),
        ]
        if known and not none_match(known, etag):
            await send({"type": "http.response.start", "status": 304, "headers": headers[1:]})
            await send({"type": "http.response.body"})
            return
        await respond(scope, send, 200, headers, answer.body)

    async def answer(self, query: Query, *, bypass: str | None = None, at_least: int = 0) -> Answer:
        """Return the answer to `query`. Raises the Problem of its load, and Overloaded."""
        return await self._coherence.get_or_load(
            query, partial(self._load, query), ttl=self._ttl, bypass=bypass, at_least=at_least
        )

    async def _load(self, query: Query) -> Content:
        return self._question.content(query, await self._database.rows(*self._question.statement(query)))


def generation_of(value: bytes) -> int:
    """Return what a Cache-Generation header says. Raises the 422 Problem."""
    generation = parse_generation(value.strip())
    if generation is None:
        raise invalid(Fault("Cache-Generation", "must be a generation, as a PUT answers it"))
    return generation


def asks_for_fresh(cache_control: bytes) -> bool:
    """Tell whether a request's Cache-Control wants an answer from the origin."""
    return any(directive.strip().lower() in _FRESH_DIRECTIVES for directive in cache_control.split(b","))
