"""The console, in a real Chromium, on a real system."""

import platform
import re
from collections.abc import AsyncIterator, Callable

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, expect

from tests.acceptance.conftest import fill
from tests.acceptance.system import ANOMALIES, System, layer
from tests.support.browser import PATIENCE_MS, chromium, opened
from tests.support.own_servers import OwnValkey
from tests.support.processes import ADMIN_KEY, ANALYST_KEY, Programs
from tests.support.waiting import eventually

HOSTILE = "<img src=x onerror=alert(1)><b>T</b>"


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    """One for all tests here."""
    expect.set_options(timeout=PATIENCE_MS)
    async with chromium() as running:
        yield running


async def enter(page: Page, url: str, key: str = ADMIN_KEY) -> None:
    """Open the console at an API process, and give it a key."""
    await page.goto(f"{url}/console")
    await page.get_by_label("API key").fill(key)
    await page.get_by_role("button", name="Open").click()


async def live(page: Page) -> None:
    """Wait until the console is live, and says that all is well."""
    await expect(page.locator("#connection")).to_have_text("Live")
    await expect(page.locator("#health")).to_have_text("ready")


async def past_the_cache(page: Page, system: System) -> bool:
    """Read as an admin; return whether the console counts that, and neither as hits nor as misses."""
    for _ in range(5):
        await system.get(0, f"{ANOMALIES}?limit=5", headers={"X-API-Key": ADMIN_KEY})
    shown = [await page.locator(tile).inner_text() for tile in ("#bypasses", "#hit-rate")]
    return shown[0].endswith("reads past the cache") and "%" not in shown[1]


async def faults(page: Page) -> dict[str, list[str]]:
    """Return what axe finds wrong: its rules, and where each is broken."""
    found = (await Axe().run(page)).response["violations"]
    return {each["id"]: [node["html"] for node in each["nodes"]] for each in found}


async def test_it_shows_what_happens_and_changes_what_it_should(browser: Browser, system: System) -> None:
    """Figures, processes, changes as they pass, hot answers; a status that is set, an answer that is purged.

    What a row holds is text, whatever it looks like; the key is in no URL and not in the page; nobody else is asked.
    """
    await system.sql(
        f"""INSERT INTO anomalies (transaction_id, account_id, amount, currency, score, detected_at)
            VALUES ('{HOSTILE}', '"><script>alert(2)</script>', 1, 'EUR', 0.5, now() + interval '1 day')"""  # noqa: S608 - a constant
    )
    url = system.replicas[0].url
    async with opened(browser) as watched:
        page = watched.page
        await enter(page, url, ANALYST_KEY)
        await expect(page.locator("#refusal")).to_contain_text("not an admin")
        await enter(page, url)
        await live(page)
        await expect(page.locator("#processes tr")).to_have_count(3)
        await expect(page.locator("#lease")).to_have_text(re.compile(r"\d s"))
        await expect(page.locator("#staleness")).to_have_text(re.compile(r"\d s"))

        await eventually(lambda: past_the_cache(page, system), within=40.0)

        async def hit_rate() -> bool:
            for _ in range(20):
                await system.get(0, f"{ANOMALIES}?limit=5")
            return (await page.locator("#hit-rate").inner_text()).endswith("%")

        await eventually(hit_rate, within=40.0)
        assert await page.locator(".chart canvas").count() == 3

        await system.sql("UPDATE anomalies SET score = 0.25 WHERE transaction_id = 'T1'")
        newest = page.locator("#changes tr").first
        await expect(newest).to_contain_text("1 row of anomalies")
        await expect(newest.locator(".chip")).to_have_text([re.compile(r"\d ms")] * 2)
        await expect(page.locator("#latency-note")).to_contain_text("p50")

        row = page.locator("#anomalies tr", has_text=HOSTILE)
        await expect(row).to_contain_text("<script>alert(2)</script>")
        await row.get_by_role("combobox").select_option("CONFIRMED")
        await row.get_by_role("button").click()
        await expect(page.locator("#travel-title")).to_have_text(f"{HOSTILE}: NEW → CONFIRMED")
        await expect(page.locator("#travel-list b")).to_have_text([re.compile(r"\d ms")] * 2)
        assert await page.locator("main img, main script").count() == 0

        await expect(page.locator("#hottest tr").first).to_contain_text("limit=5")
        await system.get(0, f"{ANOMALIES}?limit=5")
        await page.get_by_role("button", name="Explain anomalies limit=5").click()
        explanation = page.get_by_role("dialog")
        await expect(explanation).to_contain_text("Served from cache")
        process = f"{platform.node()}:{system.replicas[0].child.pid}"
        await expect(explanation).to_contain_text(f"{process}, which this page hears from")
        await page.keyboard.press("Escape")
        await expect(explanation).to_be_hidden()
        await system.cached(f"{ANOMALIES}?limit=5")
        await page.get_by_role("button", name="Purge anomalies limit=5").click()
        await expect(page.locator("#said")).to_contain_text("Purged anomalies limit=5")
        assert layer(await system.get(1, f"{ANOMALIES}?limit=5")) == "db"

        assert ADMIN_KEY not in await page.content()
        assert [asked for asked in watched.asked if ADMIN_KEY in asked or ANALYST_KEY in asked] == []
        assert watched.origins == {url}
        assert watched.wrong == []
        await page.get_by_role("button", name="Sign out").click()
        await page.reload()
        await expect(page.get_by_label("API key")).to_be_focused()


async def test_everybody_can_use_it(browser: Browser, system: System) -> None:
    """Axe finds nothing, light on a wide screen and dark on a narrow one; the keyboard is enough."""
    async with opened(browser) as watched:
        page = watched.page
        await page.goto(f"{system.replicas[0].url}/console")
        await expect(page.get_by_label("API key")).to_be_focused()
        await page.keyboard.type(ADMIN_KEY)
        await page.keyboard.press("Enter")
        await live(page)
        for _ in range(20):
            await system.get(0)
        await system.sql("UPDATE anomalies SET score = 0.25 WHERE transaction_id = 'T1'")
        await expect(page.locator("#changes tr").first).to_contain_text("ms")
        await expect(page.locator("#hottest tr").first).to_be_attached()
        await expect(page.locator("#anomalies tr")).to_have_count(10)
        assert await faults(page) == {}
        await page.emulate_media(color_scheme="dark")
        await page.set_viewport_size({"width": 320, "height": 800})
        assert await faults(page) == {}
        assert await page.evaluate("document.documentElement.scrollWidth") <= 320
        await page.get_by_role("button", name="Explain").first.press("Enter")
        assert await faults(page) == {}
        await page.get_by_role("button", name="Close").press("Enter")
        await page.get_by_role("button", name="Sign out").press("Enter")
        await expect(page.get_by_label("API key")).to_be_focused()
        assert await faults(page) == {}


async def test_it_survives_restarts(
    browser: Browser, programs: Programs, migrated_url: str, own_redis: Callable[..., OwnValkey], cache_prefix: str
) -> None:
    """Of the API, of Redis and of the listener: it says what is missing, and goes on by itself when it is back."""
    redis = own_redis()
    async with System(programs, migrated_url, redis.url, cache_prefix) as system:
        await fill(system)
        listener = await system.start_listener()
        replica = await system.start_replica()
        async with opened(browser) as watched:
            page = watched.page
            await enter(page, replica.url)
            await live(page)

            await replica.stop()
            await expect(page.locator("#connection")).to_contain_text("Reconnecting")
            replica.start_again()
            await live(page)

            redis.stop()
            await expect(page.locator("#health")).to_contain_text("redis missing")
            await expect(page.locator("#processes-note")).to_contain_text("Redis does not say")
            redis.start()
            await live(page)
            await expect(page.locator("#processes-note")).to_be_hidden()

            listener.kill()
            await expect(page.locator("#health")).to_contain_text("cache off")
            await expect(page.locator("#lease-note")).to_have_text("no lease: no cache")
            listener.start_again()
            await live(page)

            await system.sql("UPDATE anomalies SET score = 0.25 WHERE transaction_id = 'T1'")
            await expect(page.locator("#changes tr").first).to_contain_text("1 row of anomalies")
            assert watched.wrong == []
