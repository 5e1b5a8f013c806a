"""Every path, and what its methods take and answer."""

from prometheus_client import CONTENT_TYPE_LATEST

from service.assets import TYPES
from service.auth import Role
from service.console.stream import EVENTS
from service.health import Report
from service.openapi.answers import UNREADY
from service.openapi.errors import errors
from service.openapi.headers import answered, asked
from service.openapi.operations import ANYBODY, answer, asset, body, listing, lookup, only, operation, page
from service.openapi.schemas import Object, parameters
from service.pages import CONSOLE, DOCS
from service.queries import ANOMALIES, ANOMALY, QUESTIONS, TRANSACTIONS
from service.questions import Listing
from service.routes.changes import Invalidated, Invalidation, NewStatus
from service.routes.explain import CacheExplanation
from service.routes.operations import CacheStats, Liveness

OPENAPI = "/openapi.json"

_TAKING = ("malformed-json", "content-too-large", "unsupported-media-type", "invalid-request")
_WRITING = ("database-unavailable", "database-not-ready", "database-read-only", "query-timeout")


def paths(*, console: bool = True) -> Object:
    """Return them all, or all but the console's; each operation has a name of its own: its method and its path."""
    found = _questions() | _cache() | (_console() if console else {}) | _health() | _about()
    for path, methods in found.items():
        for method, described in methods.items():
            described["operationId"] = _id(method, path)
    return found


def _id(method: str, path: str) -> str:
    name = path.removeprefix("/api/v1").replace("/{", "_by_").replace("}", "")
    return method + name.replace("/", "_").replace(".", "_")


def _questions() -> Object:
    found: Object = {
        question.path: {"get": listing(question) if isinstance(question, Listing) else lookup(question)}
        for question in QUESTIONS
    }
    found[ANOMALY.path]["put"] = _set_status()
    first = f"$response.body#/{ANOMALIES.namespace}/0/"
    one = {"transaction_id": f"{first}transaction_id"}
    found[ANOMALIES.path]["get"]["responses"]["200"]["links"] = {
        "anomaly": {"operationId": _id("get", ANOMALY.path), "parameters": one},
        "status": {"operationId": _id("put", ANOMALY.path), "parameters": one},
        "transactions": {
            "operationId": _id("get", TRANSACTIONS.path),
            "parameters": {"account_id": f"{first}account_id"},
        },
    }
    return found


def _set_status() -> Object:
    changed = answer("The anomaly as it is now.", ANOMALY.table.row, "Cache-Generation")
    own = {"transaction_id": "$request.path.transaction_id", "Cache-Generation": "$response.header.Cache-Generation"}
    changed["links"] = {"anomaly": {"operationId": _id("get", ANOMALY.path), "parameters": own}}
    return operation(
        ANOMALY.namespace,
        "Set the status",
        "With the 200 every reachable process knows of it. To be certain, a read sends `Cache-Generation` back.",
        parameters=[*parameters(ANOMALY), *asked("If-Match", "If-None-Match")],
        requestBody=body(NewStatus, {"new_status": "CONFIRMED"}),
        responses={"200": changed, **errors("unauthorized", "not-found", "precondition-failed", *_TAKING, *_WRITING)},
    )


def _cache() -> Object:
    return {
        "/api/v1/cache/stats": {
            "get": operation(
                "cache",
                "What Redis and the process that answers have",
                responses={"200": answer("The statistics.", CacheStats), **errors("unauthorized")},
            )
        },
        "/api/v1/cache/explain": {
            "get": operation(
                "cache",
                f"Why a query of {ANOMALIES.path} is answered from where it is",
                security=only(Role.ADMIN),
                parameters=parameters(ANOMALIES),
                responses={
                    "200": answer("What this process knows of it.", CacheExplanation),
                    **errors("unauthorized", "forbidden", "invalid-request"),
                },
            )
        },
        "/api/v1/cache/explain/{key}": {
            "get": operation(
                "cache",
                "Why the answer under a cache key is served, or is not",
                "Of those that the process which answers has in its memory, or finds in Redis.",
                security=only(Role.ADMIN),
                parameters=[{"name": "key", "in": "path", "required": True, "schema": {"type": "string"}}],
                responses={
                    "200": answer("What this process knows of it.", CacheExplanation),
                    **errors("unauthorized", "forbidden", "not-found"),
                },
            )
        },
        "/api/v1/cache/invalidate": {
            "post": operation(
                "cache",
                "Outdate everything that is cached of a namespace, in every process",
                security=only(Role.ADMIN),
                requestBody=body(Invalidation, {"namespace": ANOMALIES.namespace}),
                responses={
                    "200": answer("It is outdated.", Invalidated, "Cache-Generation"),
                    **errors("unauthorized", "forbidden", *_TAKING, "redis-unavailable"),
                },
            )
        },
    }


def _console() -> Object:
    events = {
        "description": "Server-sent events: `state` each second, and `changes` as they come.",
        "headers": answered("Cache-Control"),
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
    return page(CONSOLE) | {
        EVENTS: {
            "get": operation(
                "console",
                "What the console shows, for as long as the client reads",
                security=only(Role.ADMIN),
                responses={"200": events, **errors("unauthorized", "forbidden", "console-busy")},
            )
        }
    }


def _health() -> Object:
    metrics = {
        "description": "In the text format of Prometheus.",
        "headers": answered("Cache-Control"),
        "content": {CONTENT_TYPE_LATEST: {"schema": {"type": "string"}}},
    }
    ready, unready = answer("It is.", Report), answer("It is not, and why.", Report, example=UNREADY)
    return {
        "/livez": {
            "get": operation(
                "health",
                "Whether the process answers",
                security=ANYBODY,
                responses={"200": answer("It does.", Liveness), **errors()},
            )
        },
        "/readyz": {
            "get": operation(
                "health",
                "Whether requests should come here",
                security=ANYBODY,
                responses={"200": ready, "503": unready, **errors()},
            )
        },
        "/metrics": {
            "get": operation("health", "The metrics", security=ANYBODY, responses={"200": metrics, **errors()})
        },
    }


def _about() -> Object:
    return {OPENAPI: {"get": asset("This document", TYPES["json"])}, **page(DOCS)}
