"""A real Chromium, and a page of it that notices whatever should not happen on it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal
from urllib.parse import urlsplit

from playwright.async_api import Browser, ConsoleMessage, Dialog, Page, Request, async_playwright

from tests.support.tools import tool

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE_MS = 40_000
"""For whatever a test waits for: a machine may be busy."""

UNREACHABLE = "Failed to load resource"
"""What Chromium itself writes of each request that is refused or fails."""


class Watched:
    """A page, the URLs that it asked for, and what went wrong on it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.asked: set[str] = set()
        self.wrong: list[str] = []
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("request", self._asked)
        page.on("dialog", self._opened)

    @property
    def origins(self) -> set[str]:
        """The origins that were asked for anything."""
        return {f"{parts.scheme}://{parts.netloc}" for parts in map(urlsplit, self.asked) if parts.scheme != "data"}

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not message.text.startswith(UNREACHABLE):
            self.wrong.append(message.text)

    def _asked(self, request: Request) -> None:
        self.asked.add(request.url)

    def _opened(self, dialog: Dialog) -> None:
        self.wrong.append(f"a dialog: {dialog.message}")


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Run a browser."""
    program = tool("chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def opened(
    browser: Browser, *, scheme: Literal["light", "dark"] = "light", width: int = 1440
) -> AsyncIterator[Watched]:
    """Open an empty page in a session of its own."""
    context = await browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 1000})
    context.set_default_timeout(PATIENCE_MS)
    try:
        yield Watched(await context.new_page())
    finally:
        await context.close()
