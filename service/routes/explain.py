"""What an operator asks of one query: where it is cached, and which change ends that, or why none does."""

import json
from collections.abc import Mapping
from typing import Any

from starlette.types import Receive, Scope, Send

from coherence.coherence import Coherence
from coherence.explain import Explanation
from coherence.history import Affecting
from coherence.rows import RowChange
from service.questions import Question
from service.responses import JSON, NO_STORE, respond


class Explain:
    """The ASGI handler: the query string is that of the list which `question` describes."""

    def __init__(self, question: Question, *, coherence: Coherence) -> None:
        self._question = question
        self._coherence = coherence

    async def __call__(self, scope: Scope, _: Receive, send: Send) -> None:
        """Answer a GET. Raises the 422 Problem for what the list would refuse."""
        explanation = await self._coherence.explain(self._question.ask(scope["query_string"], ""))
        await respond(scope, send, 200, [JSON, NO_STORE], json.dumps(as_document(explanation)).encode())


def as_document(explanation: Explanation) -> Mapping[str, Any]:
    """Return the JSON-ready form."""
    entry = explanation.entry
    return {
        "key": explanation.query.key,
        "parameters": dict(explanation.query.parameters),
        "served": explanation.served,
        "view": {"generation": explanation.generation, "lease_seconds_left": round(explanation.lease_left, 3)},
        "entry": entry
        and {
            "layer": explanation.layer,
            "stamp": entry.stamp,
            "stored_at": round(entry.stored_at, 3),
            "ttl_seconds_left": round(explanation.ttl_left, 3),
            "etag": entry.etag,
            "bytes": len(entry.body),
            "page": entry.page and {"first": entry.page.first, "last": entry.page.last, "full": entry.page.full},
        },
        "affected_by": _affecting(explanation.affected_by),
        "last_affected_by": _affecting(explanation.last_affected_by),
        "judged": [
            {"generation": judged.generation, "why": judged.why, "row": _row(judged.row)}
            for judged in explanation.judged
        ],
    }


def _affecting(change: Affecting | None) -> Mapping[str, Any] | None:
    if change is None:
        return None
    return {"generation": change.generation, "why": change.why, "row": _row(change.row)}


def _row(change: RowChange | None) -> Mapping[str, Any] | None:
    if change is None:
        return None
    return {"old": change.old and dict(change.old), "new": change.new and dict(change.new)}
