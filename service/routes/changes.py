"""What changes something: PUT of an anomaly's status, and the invalidation of a namespace."""

import json
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.types import Receive, Scope, Send

from coherence.changes import Change
from coherence.clock import monotonic
from coherence.coding import CODINGS
from coherence.coherence import Coherence
from coherence.entry import etag_of
from coherence.query import Query
from coherence.rows import RowChange
from service.bodies import read_json
from service.conditional import matching
from service.database import Database
from service.horizon import Horizon
from service.parameters import Status
from service.problems import Fault, invalid, precondition_failed, unavailable
from service.queries import ANOMALY, NAMESPACES, SET_STATUS, VERSION
from service.representation import with_coding
from service.responses import JSON, NO_STORE, header_values, respond
from service.routes.cached import CACHE_GENERATION


class NewStatus(BaseModel):
    """Body of a PUT of an anomaly."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    new_status: Status


def _of_one_namespace(schema: dict[str, Any]) -> None:
    """Say in the JSON schema what the model cannot: the namespaces, and that a key is of its namespace."""
    members, required = schema.pop("properties"), schema.pop("required")
    schema["oneOf"] = [
        {
            "properties": {
                "namespace": {**members["namespace"], "const": namespace},
                "key": {"type": ["string", "null"], "pattern": f"^{namespace}:[0-9a-f]{{32}}$"},
            },
            "required": required,
            **{name: schema[name] for name in ("additionalProperties", "type")},
        }
        for namespace in sorted(NAMESPACES)
    ]
    del schema["additionalProperties"]


class Invalidation(BaseModel):
    """Body of an invalidation: of a namespace, or of one answer in it by its cache key."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, json_schema_extra=_of_one_namespace)

    namespace: str = Field(min_length=1)
    key: str | None = Field(None, pattern=r"^[a-z_]+:[0-9a-f]{32}$")


class Invalidated(BaseModel):
    """What was invalidated, and the generation from which on that is so."""

    namespace: str
    key: str = ""
    generation: int


class SetStatus:
    """The ASGI handler of PUT: commit, announce, answer with the row as a GET would show it."""

    def __init__(self, *, coherence: Coherence, database: Database) -> None:
        self._coherence = coherence
        self._database = database
        self._horizon = Horizon(coherence.timing.bound, monotonic)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a PUT. Raises Problems: 400, 404, 412, 413, 415, 422, 503."""
        query = ANOMALY.ask(scope["query_string"], scope["path_params"][ANOMALY.path_parameter])
        wanted = await read_json(scope, receive, NewStatus)
        expected = await self._version(query, scope)
        changed = {**query.parameters, "status": wanted.new_status, "version": expected}
        rows = await self._database.rows(SET_STATUS, changed)
        if not rows and expected is not None:
            raise precondition_failed()
        body = ANOMALY.content(query, rows).body
        _, old, new, version, horizon = rows[0]
        # After another's change that is still on its way, or our own at a first try, `old` is not what caches know.
        known = (RowChange(old, new),) if self._horizon.settled(version, horizon) else None
        published = await self._coherence.publish([Change(ANOMALY.namespace, "put", rows=known)])
        headers = [JSON, NO_STORE]
        if published.generation is not None:
            headers.append((CACHE_GENERATION, b"%d" % published.generation))
        await respond(scope, send, 200, headers, body)

    async def _version(self, query: Query, scope: Scope) -> int | None:
        """Return the one version of the row that may be changed, None for any. Raises the 404 and 412 Problems."""
        wanted, refused = header_values(scope, b"if-match"), header_values(scope, b"if-none-match")
        if not wanted and not refused:
            return None
        rows = await self._database.rows(VERSION, query.parameters)
        etag = etag_of(ANOMALY.content(query, rows).body).encode()
        forms = [etag, *(with_coding(etag, coding) for coding in CODINGS)]
        met = not wanted or matching(wanted, forms, etag, weak=False) is not None
        if not met or matching(refused, forms, etag) is not None:
            raise precondition_failed()
        version: int = rows[0][1]
        return version


class Invalidate:
    """The ASGI handler of POST: what is cached of a namespace is outdated now, in every process.

    All of it, or the answer under one cache key.
    """

    def __init__(self, *, coherence: Coherence) -> None:
        self._coherence = coherence

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a POST. Raises Problems: 400, 413, 415, 422, and 503 where Redis cannot be reached."""
        wanted = await read_json(scope, receive, Invalidation)
        namespace, key = wanted.namespace, wanted.key
        if namespace not in NAMESPACES:
            raise invalid(Fault("namespace", f"must be one of {', '.join(sorted(NAMESPACES))}"))
        if key is not None and not key.startswith(f"{namespace}:"):
            raise invalid(Fault("key", "must be a cache key of the namespace"))
        change = Change(namespace, "invalidate", 0) if key is None else Change(namespace, "purge", 0, key=key)
        published = await self._coherence.publish([change])
        if published.generation is None:
            raise unavailable("redis-unavailable", "Redis cannot be reached; this process trusts its cache no more")
        if key is None:
            self._coherence.sweep(namespace)
        else:
            self._coherence.forget(key)
        done = Invalidated(generation=published.generation, **wanted.model_dump(exclude_none=True))
        body = json.dumps(done.model_dump(exclude_unset=True)).encode()
        headers = [JSON, NO_STORE, (CACHE_GENERATION, b"%d" % published.generation)]
        await respond(scope, send, HTTPStatus.OK, headers, body)
