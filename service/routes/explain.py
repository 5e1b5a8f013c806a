"""What an operator asks of one query: where it is cached, and which change ends that, or why none does."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Literal

from starlette.types import Receive, Scope, Send

from coherence.coherence import Coherence
from coherence.explain import Explanation, Judgement
from coherence.history import Affecting
from coherence.keys import Scalar
from coherence.query import Query
from coherence.rows import RowChange
from service.problems import not_found
from service.queries import NAMESPACES
from service.questions import Question
from service.responses import JSON, NO_STORE, respond


@dataclass(frozen=True, slots=True)
class ViewShown:
    """What the process that answers knows; `process` is what it is called in Redis."""

    generation: int
    lease_seconds_left: float
    process: str


@dataclass(frozen=True, slots=True)
class PageShown:
    """The sort values of a page's first and last row."""

    first: Scalar
    last: Scalar
    full: bool


@dataclass(frozen=True, slots=True)
class EntryShown:
    """What is kept; `stored_at` is by Redis' clock."""

    layer: Literal["l1", "l2"] | None
    stamp: int
    stored_at: float
    ttl_seconds_left: float
    etag: str
    bytes: int
    page: PageShown | None


@dataclass(frozen=True, slots=True)
class RowShown:
    """The watched columns of a changed row, before and after."""

    old: Mapping[str, Scalar] | None
    new: Mapping[str, Scalar] | None


@dataclass(frozen=True, slots=True)
class ChangeShown:
    """A change, and what it means for the entry."""

    generation: int
    why: str
    row: RowShown | None


@dataclass(frozen=True, slots=True)
class CacheExplanation:
    """Why a query is answered from where it is."""

    key: str
    parameters: Mapping[str, Scalar]
    served: bool
    view: ViewShown
    entry: EntryShown | None
    affected_by: ChangeShown | None
    last_affected_by: ChangeShown | None
    judged: tuple[ChangeShown, ...]


class Explain:
    """The ASGI handler: the query string is that of the list which `question` describes."""

    def __init__(self, question: Question, *, coherence: Coherence) -> None:
        self._question = question
        self._coherence = coherence

    async def __call__(self, scope: Scope, _: Receive, send: Send) -> None:
        """Answer a GET. Raises the 422 Problem for what the list would refuse."""
        explanation = await self._coherence.explain(self._question.ask(scope["query_string"], ""))
        await respond(scope, send, 200, [JSON, NO_STORE], _shown(explanation, self._coherence.process))


class ExplainKey:
    """The ASGI handler: the answer is named by its cache key, and is one that this process or Redis has.

    `written` returns the query of a namespace whose parameters are written as a text, None where there is none.
    """

    def __init__(self, *, coherence: Coherence, written: Callable[[str, str], Query | None]) -> None:
        self._coherence = coherence
        self._written = written

    async def __call__(self, scope: Scope, _: Receive, send: Send) -> None:
        """Answer a GET. Raises the 404 Problem."""
        query = await self._query(scope["path_params"]["key"])
        if query is None:
            raise not_found("neither the process that answers nor Redis has anything under this cache key")
        explanation = await self._coherence.explain(query)
        await respond(scope, send, 200, [JSON, NO_STORE], _shown(explanation, self._coherence.process))

    async def _query(self, key: str) -> Query | None:
        kept = self._coherence.l1.get(key)
        if kept is not None:
            return kept.entry.query
        namespace, _, _ = key.partition(":")
        text = await self._coherence.text(key) if namespace in NAMESPACES else None
        query = None if text is None else self._written(namespace, text)
        return query if query is not None and query.key == key else None


def _shown(explanation: Explanation, process: str) -> bytes:
    return json.dumps(asdict(_document(explanation, process))).encode()


def _document(explanation: Explanation, process: str) -> CacheExplanation:
    return CacheExplanation(
        key=explanation.query.key,
        parameters=dict(explanation.query.parameters),
        served=explanation.served,
        view=ViewShown(explanation.generation, round(explanation.lease_left, 3), process),
        entry=_entry(explanation),
        affected_by=_change(explanation.affected_by),
        last_affected_by=_change(explanation.last_affected_by),
        judged=tuple(filter(None, map(_change, explanation.judged))),
    )


def _entry(explanation: Explanation) -> EntryShown | None:
    entry = explanation.entry
    if entry is None:
        return None
    page = entry.page
    return EntryShown(
        explanation.layer,
        entry.stamp,
        round(entry.stored_at, 3),
        round(explanation.ttl_left, 3),
        entry.etag,
        len(entry.body),
        PageShown(page.first, page.last, page.full) if page is not None else None,
    )


def _change(change: Affecting | Judgement | None) -> ChangeShown | None:
    return None if change is None else ChangeShown(change.generation, change.why, _row(change.row))


def _row(change: RowChange | None) -> RowShown | None:
    return None if change is None else RowShown(change.old and dict(change.old), change.new and dict(change.new))
