"""Errors as `application/problem+json` (RFC 9457): one exception, one form, and the ones that routes raise."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from starlette.types import Scope, Send

from coherence.gate import Unavailable
from service.responses import Header, respond

TYPE_PREFIX = "urn:anomaly-cache:problem:"
MOST_FAULTS = 20
NAME_MAX_LENGTH = 64
_RETRY: Header = (b"retry-after", b"1")


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a request: where (a parameter, a member, a header) and why."""

    field: str
    detail: str


class Problem(Exception):  # noqa: N818 - RFC 9457's word
    """An answer that is an error. `kind` is the last part of its type; `headers` go with it."""

    def __init__(
        self,
        status: HTTPStatus,
        kind: str,
        detail: str,
        *,
        faults: Sequence[Fault] = (),
        headers: Iterable[Header] = (),
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.faults = tuple(faults)
        self.headers = tuple(headers)

    def as_json(self) -> bytes:
        """Return the problem document: `field` names the first fault, `errors` has all where there are several."""
        document: dict[str, Any] = {
            "type": TYPE_PREFIX + self.kind,
            "title": self.status.phrase,
            "status": int(self.status),
            "detail": self.detail,
        }
        if self.faults:
            document["field"] = self.faults[0].field
        if len(self.faults) > 1:
            document["errors"] = [{"field": fault.field, "detail": fault.detail} for fault in self.faults]
        return json.dumps(document).encode()

    async def send(self, scope: Scope, send: Send) -> None:
        """Answer the request of `scope` with this problem."""
        headers = [
            (b"content-type", b"application/problem+json"),
            (b"cache-control", b"no-store"),
            *self.headers,
        ]
        await respond(scope, send, int(self.status), headers, self.as_json())


def invalid(*faults: Fault) -> Problem:
    """Return the 422 for a request whose parts do not say what they should."""
    faults = tuple(Fault(_short(fault.field), fault.detail) for fault in faults[:MOST_FAULTS])
    detail = "; ".join(f"{fault.field}: {fault.detail}" for fault in faults)
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-request", detail, faults=faults)


def _short(name: str) -> str:
    return name if len(name) <= NAME_MAX_LENGTH else f"{name[:NAME_MAX_LENGTH]}…"


class DatabaseUnavailable(Problem, Unavailable):
    """The 503 for a database that does not answer, or not in time."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(HTTPStatus.SERVICE_UNAVAILABLE, kind, detail, headers=[_RETRY])


def unavailable(kind: str, detail: str, retry_after: int = 1) -> Problem:
    """Return a 503 that asks to come again in `retry_after` seconds."""
    headers = [(b"retry-after", b"%d" % retry_after)]
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, kind, detail, headers=headers)


def too_slow(detail: str) -> Problem:
    """Return the 408 for a request that does not come to its end; what is left of it must not begin the next one."""
    return Problem(HTTPStatus.REQUEST_TIMEOUT, "request-timeout", detail, headers=[(b"connection", b"close")])


def not_found(detail: str) -> Problem:
    """Return the 404 that says what there is not."""
    return Problem(HTTPStatus.NOT_FOUND, "not-found", detail)


def precondition_failed() -> Problem:
    """Return the 412 for what is another than If-Match names, or is what If-None-Match names."""
    detail = "what is there now is not what If-Match or If-None-Match asks for: read it again"
    return Problem(HTTPStatus.PRECONDITION_FAILED, "precondition-failed", detail)


def not_acceptable() -> Problem:
    """Return the 406 for an Accept-Encoding that refuses every form of an answer."""
    return Problem(HTTPStatus.NOT_ACCEPTABLE, "not-acceptable", "Accept-Encoding leaves no coding to send")
