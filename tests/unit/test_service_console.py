"""The console's page, and who may see what it shows."""

import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest

from service.app import create_app
from service.console.stream import EVENTS
from service.pages import CONSOLE
from tests.support.api import ADMIN_KEY, ANALYST_KEY, settings_for
from tests.support.compose_file import ROOT

STATIC = ROOT / "service" / "console" / "static"


@asynccontextmanager
async def client(console: str = "on") -> AsyncIterator[httpx2.AsyncClient]:
    """A client without a key, of an API that has nothing to connect to."""
    given = settings_for("postgresql://nowhere/none", "redis://nowhere", console=console)
    app = create_app(given, on_failure=lambda: None)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://api") as made:
        yield made


async def test_the_page_needs_no_key_and_holds_nothing() -> None:
    """It may run and load what is here, and nothing else; text cannot become markup in it."""
    async with client() as stranger:
        page = await stranger.get("/console")
        policy = page.headers["content-security-policy"]
        assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert page.headers["x-content-type-options"] == "nosniff"
        assert "require-trusted-types-for 'script'" in page.text
        assert re.search(r"<script(?! type=\"module\" src=)|<style| on\w+=| style=", page.text) is None
        for name in CONSOLE.files[1:]:
            assert (await stranger.get(f"/console/{name}")).status_code == 200
        assert (await stranger.get("/console/..%2Fconsole.py")).status_code == 404


@pytest.mark.parametrize("path", ["/console", "/docs"])
async def test_a_slash_too_many_leads_to_the_page(path: str) -> None:
    """By a link that holds behind a proxy's prefix, too, where the page's own links would lead elsewhere."""
    async with client() as stranger:
        moved = await stranger.get(f"{path}/")
        assert (moved.status_code, moved.headers["location"]) == (308, f"..{path}")
        assert (await stranger.get(str(moved.url.join(moved.headers["location"])))).status_code == 200
        assert (await stranger.put(f"{path}/")).status_code == 405


@pytest.mark.parametrize("path", [EVENTS, "/api/v1/cache/explain/anomalies:0"])
async def test_what_it_shows_is_for_admins(path: str) -> None:
    """A stranger and an analyst learn nothing."""
    async with client() as asking:
        assert (await asking.get(path)).status_code == 401
        assert (await asking.get(path, headers={"X-API-Key": ANALYST_KEY})).status_code == 403
        head = await asking.head(EVENTS, headers={"X-API-Key": ADMIN_KEY})
        assert (head.status_code, head.headers["x-accel-buffering"]) == (200, "no")


async def test_it_can_be_left_out() -> None:
    """With its stream."""
    async with client(console="off") as asking:
        for path in ("/console", "/console/", "/console/app.js", EVENTS):
            assert (await asking.get(path, headers={"X-API-Key": ADMIN_KEY})).status_code == 404


def test_all_that_it_is_made_of_is_served() -> None:
    """Each file of the package but the one that is about them; each that is named in another."""
    assert {file.name for file in STATIC.iterdir()} == {*CONSOLE.files, "README.md"}
    named: set[str] = set()
    for name in CONSOLE.files:
        if name.endswith(("html", "js")) and not name.startswith("uPlot"):
            named |= set(re.findall(r"(?:\"console|from \"\.)/([^\"]+\.\w+)\"", (STATIC / name).read_text()))
    assert "app.js" in named
    assert "uPlot.esm.js" in named
    assert named <= set(CONSOLE.files)


def test_what_comes_from_others_is_as_they_made_it() -> None:
    """The sums in the README are the files'."""
    sums = dict(re.findall(r"^\| `(.+?)` .*sha256 `([0-9a-f]{64})`", (STATIC / "README.md").read_text(), re.MULTILINE))
    assert sums.keys() == {"uPlot.esm.js", "uPlot.min.css"}
    assert {name: hashlib.sha256((STATIC / name).read_bytes()).hexdigest() for name in sums} == sums
