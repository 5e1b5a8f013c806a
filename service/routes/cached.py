"""GET of what a Question describes: through the cache, with validators."""

from collections.abc import Callable
from functools import partial
from http import HTTPStatus

from starlette.types import Receive, Scope, Send

from coherence.answer import Answer, NotCached
from coherence.changes import parse_generation
from coherence.coherence import Coherence
from coherence.loading import Content
from coherence.query import Query
from service.auth import ROLE, Role
from service.cache_control import NOTHING_ASKED, Directives
from service.database import Database
from service.negotiation import Accepted, Negotiation
from service.problems import Fault, Problem, invalid, not_acceptable, precondition_failed
from service.questions import Question
from service.representation import PRIVATE, Forms, Representation, varying_headers
from service.responses import NO_STORE

CACHE_GENERATION = b"cache-generation"
KEPT_BY = {False: PRIVATE, True: NO_STORE}
"""What others may keep, by whether an admin asks."""


class Cached:
    """An ASGI handler. `ttl` is in seconds; `enabled` is whether the cache may answer at all.

    `youngest` is the least age in seconds that a request may demand of an answer (admins' always are fresh); 0: any
    request may have one that was loaded for it. `learn` is told of each request that the cache may answer: its scope,
    what it asks, and its route's template.
    """

    def __init__(
        self,
        question: Question,
        *,
        coherence: Coherence,
        database: Database,
        negotiation: Negotiation,
        ttl: float,
        enabled: bool,
        youngest: float,
        learn: Callable[[Scope, Query, str], None],
    ) -> None:
        self._question = question
        self._coherence = coherence
        self._database = database
        self._negotiation = negotiation
        self._ttl = ttl
        self._enabled = enabled
        self._youngest = youngest
        self._learn = learn

    async def __call__(self, scope: Scope, _: Receive, send: Send) -> None:
        """Answer a GET or HEAD."""
        query = self._question.ask(scope["query_string"], scope["path_params"].get(self._question.path_parameter, ""))
        await self.give(query, scope, send)
        if self._enabled and scope[ROLE] is Role.ANALYST:
            self._learn(scope, query, self._question.path)

    async def give(self, query: Query, scope: Scope, send: Send) -> None:
        """Answer a GET or HEAD that asks `query`."""
        bypass = "admin" if scope[ROLE] is Role.ADMIN else None if self._enabled else "disabled"
        at_least = 0
        known: list[bytes] = []
        codings: list[bytes] = []
        control: list[bytes] = []
        wanted: list[bytes] = []
        for name, value in scope["headers"]:
            if name == b"if-none-match":
                known.append(value)
            elif name == CACHE_GENERATION:
                at_least = max(at_least, generation_of(value))
            elif name == b"accept-encoding":
                codings.append(value)
            elif name == b"cache-control":
                control.append(value)
            elif name == b"if-match":
                wanted.append(value)
        directives = Directives.of(b",".join(control)) if control else NOTHING_ASKED
        answer = await self.answer(query, directives, bypass=bypass, at_least=at_least)
        admin = bypass == "admin"
        forms = Forms.of(answer.kept) if answer.kept else Forms(answer.body, answer.etag, keep=KEPT_BY[admin])
        accepted = self._negotiation.accepted(b",".join(codings) if codings else None)
        if wanted and not forms.match(wanted, accepted):
            raise precondition_failed()
        chosen = forms.best(accepted) or await self._make(forms, accepted, answer)
        varying = varying_headers(answer)
        head = scope["method"] == "HEAD"
        response = forms.respond(chosen, head=head, known=known, accepted=accepted, varying=varying)
        await send({"type": "http.response.start", "status": response.status, "headers": response.headers})
        await send({"type": "http.response.body", "body": response.body})

    async def _make(self, forms: Forms, accepted: Accepted, answer: Answer) -> Representation:
        """Return what to send while the best form has yet to be made; have it made, if the answer is kept."""
        coder = self._coherence.coder
        if answer.kept and accepted.codings:
            coder.begin(answer.kept.entry, accepted.codings[0])
        chosen = forms.meanwhile(accepted)
        if chosen is not None:
            return chosen
        if not accepted.codings:
            raise not_acceptable()
        coding = accepted.codings[0]
        return forms.coded(coding, await coder.code(answer.body, coding))

    async def answer(
        self, query: Query, asked: Directives = NOTHING_ASKED, *, bypass: str | None = None, at_least: int = 0
    ) -> Answer:
        """Return the answer to `query`. Raises the Problem of its load, Overloaded, and the 504 Problem."""
        if bypass is None and asked.max_age == 0 and self._youngest == 0:
            bypass = "request"
        try:
            return await self._coherence.get_or_load(
                query,
                partial(self._load, query),
                ttl=self._ttl if asked.store else 0.0,
                bypass=bypass,
                at_least=at_least,
                max_age=max(asked.max_age, self._youngest),
                only_cached=asked.only_cached,
                stale_if_error=asked.stale_if_error,
            )
        except NotCached:
            raise Problem(HTTPStatus.GATEWAY_TIMEOUT, "not-cached", "no cache has the answer") from None

    async def _load(self, query: Query) -> Content:
        return self._question.content(query, await self._database.rows(*self._question.statement(query)))


def generation_of(value: bytes) -> int:
    """Return what a Cache-Generation header says. Raises the 422 Problem."""
    generation = parse_generation(value.strip())
    if generation is None:
        raise invalid(Fault("Cache-Generation", "must be a generation, as a PUT answers it"))
    return generation
