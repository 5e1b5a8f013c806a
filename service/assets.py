"""What is sent to browsers and is the same for everybody: pages, their scripts and styles, documents made once."""

import asyncio
from collections.abc import Callable
from importlib.resources import files

from starlette.types import Receive, Scope, Send

from coherence.coding import CODINGS
from coherence.entry import etag_of
from service.negotiation import Negotiation
from service.problems import not_acceptable
from service.representation import Forms
from service.responses import Header, header_values

GZIP = "gzip"
TYPES = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "json": "application/json",
    "png": "image/png",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
}
"""Media types by the ends of names."""

KEEP: Header = (b"cache-control", b"no-cache")
VARY: Header = (b"vary", b"Accept-Encoding")

POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
"""What a page may do: load what is here, ask this server, and nothing else. No script or style stands in a page."""

SECURITY: tuple[Header, ...] = (
    (b"content-security-policy", "; ".join(f"{name} {value}" for name, value in POLICY.items()).encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


class Asset:
    """The ASGI handler of a GET or HEAD of bytes that stay the same while the process runs.

    `make` returns them. It is called in a thread, when they are first asked for.
    """

    def __init__(self, make: Callable[[], bytes], content_type: str) -> None:
        self._make = make
        self._content_type = content_type.encode()
        self._negotiation = Negotiation((GZIP,))
        self._making = asyncio.Lock()
        self._forms: Forms | None = None

    @classmethod
    def of(cls, package: str, name: str) -> "Asset":
        """Return that of a file in a package of ours."""
        return cls((files(package) / name).read_bytes, TYPES[name.rpartition(".")[2]])

    async def __call__(self, scope: Scope, _: Receive, send: Send) -> None:
        """Answer a GET or HEAD. Raises the 406 Problem."""
        async with self._making:
            if self._forms is None:
                self._forms = await asyncio.to_thread(self._prepare)
            forms = self._forms
        codings = header_values(scope, b"accept-encoding")
        accepted = self._negotiation.accepted(b",".join(codings) if codings else None)
        chosen = forms.best(accepted)
        if chosen is None:
            raise not_acceptable()
        known = header_values(scope, b"if-none-match")
        head = scope["method"] == "HEAD"
        response = forms.respond(chosen, head=head, known=known, accepted=accepted, varying=SECURITY)
        await send({"type": "http.response.start", "status": response.status, "headers": response.headers})
        await send({"type": "http.response.body", "body": response.body})

    def _prepare(self) -> Forms:
        body = self._make()
        content_type = (b"content-type", self._content_type)
        return Forms(body, etag_of(body), {GZIP: CODINGS[GZIP](body)}, content_type=content_type, keep=KEEP, vary=VARY)
