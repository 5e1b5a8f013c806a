"""The pages that the package carries, and the files that they load."""

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

from starlette.types import Receive, Scope, Send

from service.assets import KEEP, Asset
from service.problems import not_found
from service.responses import respond
from service.routes.resource import Resource


@dataclass(frozen=True, slots=True)
class Page:
    """A page at `path`, and its `files` below that; all of them in `package`. The first of the files is the page."""

    path: str
    title: str
    package: str
    files: tuple[str, ...]

    @property
    def below(self) -> str:
        """The template of the paths of what the page loads."""
        return f"{self.path}/{{file}}"

    def resources(self) -> Sequence[Resource]:
        """Return what answers for the page, and for what it loads."""
        page, *others = self.files
        return (
            Resource(self.path, {"GET": Asset.of(self.package, page)}),
            Resource(f"{self.path}/", {"GET": Moved(f"..{self.path}")}),
            Resource(self.below, {"GET": Files({name: Asset.of(self.package, name) for name in others})}),
        )


class Moved:
    """The ASGI handler of a GET or HEAD of what is elsewhere: at `place`, as seen from here."""

    def __init__(self, place: str) -> None:
        self._place = place.encode()

    async def __call__(self, scope: Scope, _: Receive, send: Send) -> None:
        """Say where."""
        await respond(scope, send, HTTPStatus.PERMANENT_REDIRECT, [(b"location", self._place), KEEP], b"")


class Files:
    """The ASGI handler of a GET or HEAD of one of several files, by the name in the path."""

    def __init__(self, files: dict[str, Asset]) -> None:
        self._files = files

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with a file. Raises the 404 Problem, and those of the file."""
        found = self._files.get(scope["path_params"]["file"])
        if found is None:
            raise not_found("there is nothing at this path")
        await found(scope, receive, send)


DOCS = Page(
    "/docs",
    "This API's documentation",
    "service.docs",
    (
        "docs.html",
        "docs.js",
        "docs.css",
        "swagger-ui-bundle.js",
        "swagger-ui-bundle.js.LICENSE.txt",
        "swagger-ui.css",
        "swagger-ui.LICENSE.txt",
        "swagger-ui.NOTICE.txt",
    ),
)

CONSOLE = Page(
    "/console",
    "What the cache does, live, for admins",
    "service.console.static",
    (
        "console.html",
        "console.css",
        "anomalies.js",
        "api.js",
        "app.js",
        "changes.js",
        "charts.js",
        "dom.js",
        "format.js",
        "hottest.js",
        "latency.js",
        "overview.js",
        "processes.js",
        "stream.js",
        "traffic.js",
        "uPlot.LICENSE.txt",
        "uPlot.esm.js",
        "uPlot.min.css",
    ),
)
