"""What a request takes and what it is answered, a function for each kind of route."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from service.assets import TYPES
from service.auth import Role
from service.openapi.answers import EXAMPLES
from service.openapi.errors import LOADING, errors
from service.openapi.headers import HARDENING, REQUEST, answered, asked
from service.openapi.schemas import Object, name_of, page_of, parameters, ref
from service.pages import Page
from service.questions import Listing, Question

JSON = "application/json"
ANYBODY: Sequence[Object] = ()
"""No key is needed."""

_READ = ("ETag", "Cache-Control", "Vary", "Age", "Cache-Status")
_ASSET = ("ETag", "Cache-Control", "Vary", *HARDENING)


def only(*roles: Role) -> Sequence[Object]:
    """Return the security requirement of a key of one of these roles."""
    return [{"ApiKey": [str(role)]} for role in roles]


EITHER = only(*Role)


def operation(tag: str, summary: str, description: str = "", *, responses: Object, **more: Any) -> Object:
    """Return an operation. For `more` see the OpenAPI specification: `security`, `parameters`, `requestBody`."""
    described = {"description": description} if description else {}
    return {"tags": [tag], "summary": summary, **described, "security": EITHER, **more, "responses": responses}


def answer(description: str, model: type, *fields: str, example: Object | None = None) -> Object:
    """Return the response with a model as JSON, and header fields; with the model's example, if no other is given."""
    given = example or EXAMPLES.get(name_of(model))
    return {
        "description": description,
        "headers": answered("Cache-Control", *fields),
        "content": {JSON: {"schema": ref(model), **({"example": given} if given else {})}},
    }


def body(model: type[BaseModel], example: Object) -> Object:
    """Return the request body that a model checks."""
    return {"required": True, "content": {JSON: {"schema": ref(model), "example": example}}}


def listing(question: Listing) -> Object:
    """Return GET of a list."""
    return operation(
        question.namespace,
        f"A page of {question.namespace}, the newest first",
        "Unknown, empty and repeated parameters are refused, and so are `offset` and `cursor` together.",
        parameters=[*parameters(question), *asked(*REQUEST)],
        responses=_read(question, page_of(question), ("Link",)),
    )


def lookup(question: Question) -> Object:
    """Return GET of one row."""
    return operation(
        question.namespace,
        f"One of the {question.namespace}",
        parameters=[*parameters(question), *asked(*REQUEST)],
        responses=_read(question, question.table.row, (), "not-found"),
    )


def _read(question: Question, model: type, fields: tuple[str, ...], *kinds: str) -> Object:
    fields = (*_READ, *fields)
    return {
        "200": answer(f"What the {question.namespace} are, within the bound.", model, *fields, "Content-Encoding"),
        "304": {"description": "The client has the answer.", "headers": answered(*fields)},
        **errors(
            "unauthorized", *kinds, "not-acceptable", "precondition-failed", "invalid-request", *LOADING, "not-cached"
        ),
    }


def asset(summary: str, *media_types: str, **more: Any) -> Object:
    """Return GET of what is the same for everybody."""
    return operation(
        "about",
        summary,
        security=ANYBODY,
        parameters=[*more.pop("parameters", ()), *asked("If-None-Match", "Accept-Encoding")],
        responses={
            "200": {
                "description": "As it is.",
                "headers": answered(*_ASSET, "Content-Encoding"),
                "content": {each: {"schema": {"type": "object" if each == JSON else "string"}} for each in media_types},
            },
            "304": {"description": "The client has it.", "headers": answered(*_ASSET)},
            **errors("not-acceptable", *more.pop("kinds", ())),
        },
    )


def page(shown: Page) -> Object:
    """Return the paths of a page, and of what it loads."""
    _, *files = shown.files
    file = {"name": "file", "in": "path", "required": True, "schema": {"type": "string", "enum": files}}
    types = sorted({TYPES[name.rpartition(".")[2]] for name in files})
    return {
        shown.path: {"get": asset(shown.title, TYPES["html"])},
        shown.below: {"get": asset("What that page loads", *types, parameters=[file], kinds=["not-found"])},
    }
