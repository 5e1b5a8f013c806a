"""The page that shows the API's description, in a real Chromium."""

from playwright.async_api import expect

from tests.acceptance.system import ANOMALIES, System
from tests.support.browser import PATIENCE_MS, chromium, opened
from tests.support.processes import ANALYST_KEY


async def test_it_shows_and_tries_the_api(system: System) -> None:
    """Every endpoint; a request with the key that is entered. Nobody else is asked, and no policy stands in the way."""
    expect.set_options(timeout=PATIENCE_MS)
    url = system.replicas[0].url
    paths = (await system.get(0, "/openapi.json")).json()["paths"]
    async with chromium() as browser, opened(browser, scheme="dark") as watched:
        page = watched.page
        await page.goto(f"{url}/docs")
        await expect(page.locator(".opblock")).to_have_count(sum(len(methods) for methods in paths.values()))
        await page.get_by_role("button", name="Authorize").click()
        await page.get_by_label("Value:").fill(ANALYST_KEY)
        await page.get_by_role("button", name="Apply credentials").click()
        await page.get_by_role("button", name="Close").click()

        listing = page.locator("#operations-anomalies-get_anomalies")
        await listing.locator(".opblock-summary-control").click()
        await listing.get_by_role("button", name="Execute").click()
        await expect(listing.locator(".live-responses-table .response-col_status").last).to_contain_text("200")
        await expect(listing.locator(".live-responses-table")).to_contain_text("cache-status")

        asked = {request.partition("?")[0] for request in watched.asked if request.startswith(url)}
        assert f"{url}{ANOMALIES}" in asked
        assert watched.origins == {url}
        assert [request for request in watched.asked if ANALYST_KEY in request] == []
        assert watched.wrong == []
