"""The bodies of requests: JSON objects, small and unambiguous."""

import asyncio
import json
from http import HTTPStatus
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from service.parameters import faults_of
from service.problems import Fault, Problem, invalid, too_slow
from service.responses import Header, header_values

BODY_LIMIT = 64 * 1024
BODY_SECONDS = 30.0
"""How long a body may take to come."""

M = TypeVar("M", bound=BaseModel)


async def read_json(scope: Scope, receive: Receive, model: type[M]) -> M:
    """Return the checked body of a request.

    Raises the Problem: 408 past BODY_SECONDS, 413 over BODY_LIMIT bytes, 415 for another content type, 400 for what is
    no JSON, 422 for JSON that is not what `model` describes.
    """
    _check_content_type(scope)
    if any(value.strip().lower() != b"identity" for value in header_values(scope, b"content-encoding")):
        raise _unsupported("the body must not be compressed", (b"accept-encoding", b"identity"))
    try:
        async with asyncio.timeout(BODY_SECONDS):
            body = await _read(scope, receive)
    except TimeoutError:
        raise too_slow(f"the body has not come within {BODY_SECONDS:g} s") from None
    try:
        document = json.loads(body.decode(), object_pairs_hook=_without_duplicates, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise Problem(HTTPStatus.BAD_REQUEST, "malformed-json", "the body is not JSON") from None
    if not isinstance(document, dict):
        raise invalid(Fault("body", "must be a JSON object"))
    try:
        return model.model_validate(document, strict=True)
    except ValidationError as error:
        raise invalid(*faults_of(error, model.model_fields)) from None


def _check_content_type(scope: Scope) -> None:
    given = header_values(scope, b"content-type")
    media_type, _, parameters = given[0].partition(b";") if len(given) == 1 else (b"", b"", b"")
    charset = parameters.strip().lower().replace(b'"', b"")
    if media_type.strip().lower() != b"application/json" or charset not in {b"", b"charset=utf-8"}:
        raise _unsupported("the Content-Type must be application/json", (b"accept", b"application/json"))


async def _read(scope: Scope, receive: Receive) -> bytes:
    for value in header_values(scope, b"content-length"):
        if value.isdigit() and int(value[:19]) > BODY_LIMIT:
            raise _too_large()
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        if len(body) > BODY_LIMIT:
            raise _too_large()
        if not message.get("more_body", False):
            return bytes(body)


def _unsupported(detail: str, header: Header) -> Problem:
    return Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", detail, headers=[header])


def _too_large() -> Problem:
    # What is left of the body would be taken for the next request.
    return Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "content-too-large",
        f"the body is larger than {BODY_LIMIT} bytes",
        headers=[(b"connection", b"close")],
    )


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members:
            raise invalid(Fault(name, "must be given once"))
        members[name] = value
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)
