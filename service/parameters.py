"""From the text of a request to checked parameters in one canonical form, with every default filled in."""

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Annotated, Literal, TypeVar
from urllib.parse import parse_qsl

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from service.problems import Fault, Problem, invalid

QUERY_STRING_LIMIT = 4096
TEXT_MAX_LENGTH = 256
CURSOR_MAX_LENGTH = 3800
"""That of a row whose key is as long as an index of Postgres takes."""
BIGINT_MAX = 2**63 - 1

_INTEGER = re.compile(r"-?[0-9]{1,19}", re.ASCII)
_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", re.ASCII)


def _integer(value: object) -> object:
    if isinstance(value, str) and not _INTEGER.fullmatch(value):
        raise ValueError("must be a whole number of at most 19 digits")
    return value


def _decimal(value: object) -> object:
    if isinstance(value, str) and not _DECIMAL.fullmatch(value):
        raise ValueError("must be a decimal number")
    return value


def _without_nul(value: str) -> str:
    if "\0" in value:
        raise ValueError("must not contain NUL")
    return value


Limit = Annotated[int, Field(ge=1, le=1000), BeforeValidator(_integer)]
Offset = Annotated[int, Field(ge=0, le=BIGINT_MAX), BeforeValidator(_integer)]
Cursor = Annotated[str, Field(min_length=1, max_length=CURSOR_MAX_LENGTH)]
Score = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False), BeforeValidator(_decimal)]
Text = Annotated[
    str,
    Field(min_length=1, max_length=TEXT_MAX_LENGTH, json_schema_extra={"pattern": r"^[^\u0000]*$"}),
    AfterValidator(_without_nul),
]
Status = Literal["NEW", "INVESTIGATING", "INVESTIGATED", "CONFIRMED", "DISMISSED"]


class Parameters(BaseModel):
    """Base of what a route takes. Unknown names are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class PageParameters(Parameters):
    """Parameters of a page of a list: it begins at an offset, or behind the place that a cursor tells."""

    limit: Annotated[Limit, Field(description="Most rows of the page.")] = 100
    offset: Annotated[Offset, Field(description="Rows to leave out before it.")] = 0
    cursor: Annotated[
        Cursor | None, Field(description="Where it begins, instead of an offset: from `next` of a page of this list.")
    ] = None


P = TypeVar("P", bound=Parameters)


def parse_query_string(raw: bytes) -> dict[str, str]:
    """Return the parameters of a query string. Raises the 422 Problem for repeated or empty ones, and for bad UTF-8."""
    if len(raw) > QUERY_STRING_LIMIT:
        detail = f"the query string is longer than {QUERY_STRING_LIMIT} bytes"
        raise Problem(HTTPStatus.REQUEST_URI_TOO_LONG, "uri-too-long", detail)
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict")
    except UnicodeError:
        raise invalid(Fault("query", "must be percent-encoded UTF-8")) from None
    parameters: dict[str, str] = {}
    for name, value in pairs:
        if name in parameters:
            raise invalid(Fault(name, "must be given once"))
        if not value:
            raise invalid(Fault(name, "must not be empty"))
        parameters[name] = value
    return parameters


def validate(model: type[P], values: Mapping[str, object], *, in_path: str = "") -> P:
    """Return the checked parameters. Raises the 422 Problem, which names each that is wrong.

    `in_path` is the one that does not come from the query string.
    """
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise invalid(*faults_of(error, [name for name in model.model_fields if name != in_path])) from None


def faults_of(error: ValidationError, known: Iterable[str]) -> list[Fault]:
    """Return what pydantic found, by field, without the values; `known` are the names that could have been given."""
    there = ", ".join(known)
    return [
        Fault(".".join(str(part) for part in found["loc"]), _reason(found["type"], found["msg"], there))
        for found in error.errors(include_url=False, include_input=False)
    ]


def _reason(kind: str, message: str, there: str) -> str:
    if kind == "extra_forbidden":
        return f"unknown (there is {there or 'none'})"
    if kind == "missing":
        return "is missing"
    return message.removeprefix("Value error, ").removeprefix("Input ").removeprefix("String ")
