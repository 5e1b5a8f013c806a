"""Header fields: those that a request may have, and those that answers have."""

from service.assets import SECURITY
from service.openapi.schemas import Object

_GENERATION = "^([1-9][0-9]{0,14}|[1-8][0-9]{15})$"
"""Below 2⁵³, and past any that is made before the year 2255."""

_TAG = r'^"[0-9a-f]{32}(-[a-z]+)?"$'


def _asked(name: str, description: str, **schema: object) -> Object:
    return {"name": name, "in": "header", "description": description, "schema": {"type": "string", **schema}}


def _answered(description: str, *, required: bool = True, **schema: object) -> Object:
    return {"description": description, "required": required, "schema": {"type": "string", **schema}}


REQUEST = {
    "If-Match": _asked("If-Match", "Tags of answers, or `*`: 412 where what is there is none of them."),
    "If-None-Match": _asked(
        "If-None-Match", "Tags of answers that the client has: 304 where one of them is still right."
    ),
    "Accept-Encoding": _asked("Accept-Encoding", "Content codings that the client takes: `zstd`, `br`, `gzip`."),
    "Cache-Control": _asked(
        "Cache-Control",
        "`no-cache`, `max-age=N`, `no-store`, `stale-if-error=N`; `only-if-cached` for 504 instead of a load.",
    ),
    "Cache-Generation": _asked(
        "Cache-Generation",
        "What a PUT or an invalidation answered: the answer shows that change for certain.",
        pattern=_GENERATION,
    ),
}
"""Parameters of requests that read, by name: the names of their components, too."""

HARDENING = tuple("-".join(map(str.capitalize, name.decode().split("-"))) for name, _ in SECURITY)
"""Header fields of pages, and of all that they load."""

RESPONSE = {
    "ETag": _answered("Strong: a hash of the bytes.", pattern=_TAG),
    "Cache-Control": _answered("`private, no-cache`, or `no-store` for admins."),
    "Vary": _answered("What the answer depends on, beside the URL."),
    "Age": _answered("How many seconds ago a cached answer was loaded.", required=False, pattern="^[0-9]+$"),
    "Cache-Status": _answered("Where the answer came from (RFC 9211).", pattern="^anomaly-cache; (hit|fwd=)"),
    "Cache-Generation": _answered(
        "The generation that shows the change; missing where Redis cannot be reached.",
        required=False,
        pattern=_GENERATION,
    ),
    "Link": _answered("The next page (RFC 8288).", required=False, pattern='^<[^>]+>; rel="next"$'),
    "Content-Encoding": _answered("The coding of the body.", required=False, enum=["zstd", "br", "gzip"]),
    "Retry-After": _answered("When to come again, in seconds.", pattern="^[0-9]+$"),
    "WWW-Authenticate": _answered("How to authenticate."),
    "Allow": _answered("The methods that the path takes."),
    "Accept": _answered("The media type that the body must have.", required=False),
    "Accept-Encoding": _answered("`identity`, where the body is compressed.", required=False),
    **{name: _answered("What a browser may do with it.") for name in HARDENING},
    "Content-Security-Policy": _answered("What the page may load: only what is here."),
}
"""Header fields of answers, by name: the names of their components, too."""


def asked(*names: str) -> list[Object]:
    """Return references to parameters of requests."""
    return [{"$ref": f"#/components/parameters/{name}"} for name in names]


def answered(*names: str) -> Object:
    """Return references to header fields of an answer."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
