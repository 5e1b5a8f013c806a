"""The whole document: the paths, and what they refer to."""

import json
from importlib.metadata import version

from service.health import Report
from service.openapi import headers
from service.openapi.errors import ProblemDocument, examples
from service.openapi.paths import paths
from service.openapi.schemas import Object, components, page_of
from service.queries import QUESTIONS
from service.questions import Listing
from service.routes.changes import Invalidated, Invalidation, NewStatus
from service.routes.explain import CacheExplanation
from service.routes.operations import CacheStats, Liveness

ABOUT = """A read cache before Postgres that cannot quietly go stale: an answer reflects every commit that was visible
`CACHE_MAX_STALENESS_SECONDS` before it.

HEAD works wherever GET does. OPTIONS answers 204 with `Allow`; a method that a path does not take gets 405 with it.
Errors are `application/problem+json` (RFC 9457)."""

_ANSWERS = (ProblemDocument, CacheStats, CacheExplanation, Invalidated, Liveness, Report)
_BODIES = (NewStatus, Invalidation)


def as_json(*, console: bool = True) -> bytes:
    """Return the document as it is served."""
    return json.dumps(document(console=console), ensure_ascii=False).encode()


def document(*, console: bool = True) -> Object:
    """Return the document, of an API that has a console or has none."""
    lists = [page_of(question) for question in QUESTIONS if isinstance(question, Listing)]
    rows = {question.table.row: None for question in QUESTIONS}
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "anomaly-cache",
            "summary": "A Postgres + Redis read cache that cannot quietly go stale.",
            "description": ABOUT,
            "version": version("anomaly-cache"),
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "paths": paths(console=console),
        "components": {
            "schemas": components((*rows, *lists, *_ANSWERS), _BODIES),
            "parameters": headers.REQUEST,
            "headers": headers.RESPONSE,
            "examples": examples(),
            "securitySchemes": {
                "ApiKey": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "X-API-Key",
                    "description": "Its role is `analyst`, or `admin`, which reads past the cache.",
                }
            },
        },
    }
