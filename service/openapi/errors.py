"""Errors: each kind of problem, with the status that it has, and when it comes."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, NamedTuple

from pydantic import BaseModel, Field

from service.openapi.headers import answered
from service.openapi.schemas import Object, ref
from service.problems import TYPE_PREFIX, Fault

PROBLEM_JSON = "application/problem+json"


class ProblemDocument(BaseModel):
    """What is wrong (RFC 9457)."""

    type: Annotated[str, Field(pattern=f"^{TYPE_PREFIX}[a-z-]+$")]
    title: str
    status: Annotated[int, Field(ge=400, le=599)]
    detail: str
    field: Annotated[str, Field(description="The parameter, member or header that is wrong.")] = ""
    errors: Annotated[list[Fault], Field(description="All of them, where there are several.")] = []


class Kind(NamedTuple):
    """A kind of problem."""

    status: HTTPStatus
    when: str


_400, _401, _403 = HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN
_404, _405, _406 = HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_ACCEPTABLE
_503 = HTTPStatus.SERVICE_UNAVAILABLE

KINDS: Mapping[str, Kind] = {
    "malformed-json": Kind(_400, "The body is not JSON."),
    "malformed-request": Kind(_400, "The request is not HTTP, or has not one Host header, which is well-formed."),
    "preflight-refused": Kind(_400, "A page of another origin asks for what it may not."),
    "unauthorized": Kind(_401, "There is no API key, an unknown one, or several."),
    "forbidden": Kind(_403, "The key's role may not do this."),
    "not-found": Kind(_404, "There is nothing with this id, or at this path."),
    "method-not-allowed": Kind(_405, "The path takes other methods."),
    "not-acceptable": Kind(_406, "Accept-Encoding refuses plain bytes, and every coding that there is."),
    "request-timeout": Kind(HTTPStatus.REQUEST_TIMEOUT, "The request's head or body has not come within 30 s."),
    "precondition-failed": Kind(
        HTTPStatus.PRECONDITION_FAILED, "What is there is another than If-Match names, or is what If-None-Match names."
    ),
    "content-too-large": Kind(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The body is over 64 KiB."),
    "uri-too-long": Kind(
        HTTPStatus.REQUEST_URI_TOO_LONG, "The query string is over 4096 bytes, or the URL over 8 KiB."
    ),
    "unsupported-media-type": Kind(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The body is not application/json, or it is compressed."
    ),
    "invalid-request": Kind(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "A parameter, a member of the body or a header is missing, unknown, repeated, empty or out of range.",
    ),
    "head-too-large": Kind(
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The request's line and headers are over 32 KiB."
    ),
    "internal-error": Kind(HTTPStatus.INTERNAL_SERVER_ERROR, "A fault of the server's; its log has it."),
    "console-busy": Kind(_503, "Too many consoles are open, or the process is about to stop."),
    "overloaded": Kind(_503, "Too many loads wait for Postgres."),
    "database-unavailable": Kind(_503, "Postgres cannot be reached, or hangs."),
    "database-not-ready": Kind(_503, "Its tables, or the role's rights, are missing."),
    "database-read-only": Kind(_503, "It takes no changes just now."),
    "query-timeout": Kind(_503, "A statement took too long."),
    "redis-unavailable": Kind(_503, "Redis cannot be reached."),
    "not-cached": Kind(HTTPStatus.GATEWAY_TIMEOUT, "The request says only-if-cached, and no cache has the answer."),
}
"""By the last part of their types."""

_HEADERS: Mapping[HTTPStatus, tuple[str, ...]] = {
    _401: ("WWW-Authenticate",),
    _405: ("Allow",),
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: ("Accept", "Accept-Encoding"),
    _503: ("Retry-After",),
}

ANYWHERE = ("malformed-request", "request-timeout", "uri-too-long", "head-too-large", "internal-error")
"""What any request can meet."""

LOADING = ("overloaded", "database-unavailable", "database-not-ready", "query-timeout")
"""What a read of the database can meet."""


def errors(*kinds: str) -> Object:
    """Return the responses that are problems of these kinds, or of those that any request can meet."""
    given = [(name, KINDS[name]) for name in (*kinds, *ANYWHERE)]
    statuses = sorted({kind.status for _, kind in given})
    return {
        str(int(status)): _response(status, [name for name, kind in given if kind.status is status])
        for status in statuses
    }


def examples() -> Object:
    """Return the components of which `errors` makes its examples."""
    return {name: {"summary": kind.when, "value": _example(name, kind)} for name, kind in KINDS.items()}


def _response(status: HTTPStatus, names: list[str]) -> Object:
    examples = {name: {"$ref": f"#/components/examples/{name}"} for name in names}
    return {
        "description": " ".join(KINDS[name].when for name in names),
        "headers": answered("Cache-Control", *_HEADERS.get(status, ())),
        "content": {PROBLEM_JSON: {"schema": ref(ProblemDocument), "examples": examples}},
    }


def _example(name: str, kind: Kind) -> Object:
    document: Object = {"type": TYPE_PREFIX + name, "title": kind.status.phrase, "status": int(kind.status)}
    if name == "invalid-request":
        return {**document, "detail": "limit: must be a whole number of at most 19 digits", "field": "limit"}
    return {**document, "detail": kind.when}
