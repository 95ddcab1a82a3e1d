"""The holder's wallet in a real Chromium: pairing, rotation, offline with reload, consent."""

import asyncio
import time

import pytest
from playwright.async_api import expect

from edge.protocol.kh1 import step_at
from tests.fakes import running_city

pytestmark = pytest.mark.asyncio(loop_scope="session")
CARD_CHARS_MIN = 600
REDRAWN_S_MAX = 20.0
READ = """() => new Promise((done) => document.querySelector("#codes canvas").toBlob(async (blob) =>
  done([...new Uint8Array(await blob.arrayBuffer())]), "image/png"))"""


async def read_code(page) -> str:
    import cv2
    import numpy as np
    import zxingcpp

    await page.wait_for_selector("#codes canvas[data-step]")
    data = np.array(await page.evaluate(READ), np.uint8)
    picture = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
    found = zxingcpp.read_barcodes(picture)
    assert found, "no code on the screen"
    return found[0].text


async def paired(stage, page, key: str) -> None:
    await page.goto(f"{stage.central}/wallet/#{await stage.city.pairing_code(key)}")
    await page.wait_for_selector("#pair button")
    await page.click("#pair button")
    await page.wait_for_selector("#list .pass")


async def reloaded_without_a_network(stage, page, key: str) -> None:
    """Pair, cut the network and load the wallet again; then open the driving licence."""
    await paired(stage, page, key)
    await page.evaluate("navigator.serviceWorker.ready.then(() => null)")
    await page.context.set_offline(True)
    await page.reload()
    await page.wait_for_selector("#list .pass")
    await page.click(".pass[data-type=driving_licence]")


async def verified(stage, text: str, scene: str = "office.gatehouse") -> tuple[str, str]:
    answer = await running_city.verified(stage.city, scene, {"presentation": text})
    return answer["decision"], answer["reason"]


async def card_holds(stage, page) -> None:
    """Have the card go with the code; the node reads it, altered it would be `card_mismatch`."""
    plain = len(await read_code(page))
    await page.check("#card")
    async with asyncio.timeout(REDRAWN_S_MAX):
        while len(text := await read_code(page)) < CARD_CHARS_MIN:
            await page.wait_for_timeout(50)
    assert plain < CARD_CHARS_MIN
    await stage.fresh_step()
    text = await read_code(page)
    assert len(text) >= CARD_CHARS_MIN
    assert await verified(stage, text) == ("accept", "ok")


async def test_a_paired_wallet_shows_codes_that_hold_and_change_every_step(stage):
    async with stage.browser(locale="zh-CN", viewport={"width": 390, "height": 844}) as page:
        await paired(stage, page, "bao")
        await page.click(".pass[data-type=resident_id]")
        await stage.fresh_step()
        first = await read_code(page)
        assert await verified(stage, first) == ("accept", "ok")
        step = step_at(time.time())
        await expect(page.locator("#codes canvas")).not_to_have_attribute(
            "data-step", str(step), timeout=8_000)
        second = await read_code(page)
        assert second != first
        assert await verified(stage, second) == ("accept", "ok")


async def test_a_sealed_code_made_in_the_browser_holds(stage):
    async with stage.browser(locale="en-GB") as page:
        await paired(stage, page, "lin")
        await page.click(".pass[data-type=driving_licence]")
        plain = len(await read_code(page))
        await page.check("#sealed")
        async with asyncio.timeout(REDRAWN_S_MAX):
            while len(await read_code(page)) == plain:
                await page.wait_for_timeout(50)
        await stage.fresh_step()
        assert await verified(stage, await read_code(page)) == ("accept", "ok")


async def test_a_card_goes_with_the_code_and_holds(stage):
    async with stage.browser(locale="en-GB", viewport={"width": 390, "height": 844}) as page:
        await paired(stage, page, "lin")
        await page.click(".pass[data-type=resident_id]")
        await card_holds(stage, page)


async def test_cards_are_kept_and_work_without_a_network(stage):
    async with stage.browser(locale="en-GB") as page:
        await reloaded_without_a_network(stage, page, "fang")
        await card_holds(stage, page)


async def test_the_wallet_goes_on_without_a_network_through_a_reload(stage):
    async with stage.browser(locale="en-GB") as page:
        await reloaded_without_a_network(stage, page, "ma")
        await page.wait_for_selector("#codes canvas[data-step]")
        assert "No network" in await page.inner_text("#notices")
        await stage.fresh_step()
        assert await verified(stage, await read_code(page)) == ("accept", "ok")


async def test_two_credentials_are_shown_at_once(stage):
    async with stage.browser(locale="en-GB") as page:
        await paired(stage, page, "lin")
        for box in await page.query_selector_all("#list input"):
            await box.check()
        await page.click("#together")
        await page.wait_for_selector("#codes figure:nth-child(2) canvas[data-step]")


async def test_a_code_that_was_used_or_never_given_is_refused_in_words(stage):
    async with stage.browser(locale="en-GB") as page:
        code = await stage.city.pairing_code("fang")
        for text, words in (("ABCDEFGHJKLMNPQR", "wrong, used or expired"), (code, None)):
            await page.goto(stage.central + "/wallet/")
            await page.fill("#code", text)
            await page.click("#pair button")
            if words:
                await expect(page.locator("#pairsaid")).to_contain_text(words)
        await page.wait_for_selector("#list .pass")
    async with stage.browser(locale="en-GB") as page:
        await page.goto(f"{stage.central}/wallet/#{code}")
        await page.click("#pair button")
        await expect(page.locator("#pairsaid")).to_contain_text("used")


async def test_a_wrong_clock_is_told_and_corrected(stage):
    async with stage.browser(locale="en-GB") as page:
        await page.clock.install(time=time.time() + 600)
        await paired(stage, page, "bao")
        await expect(page.locator("#notices")).to_contain_text("10 min fast")


async def test_consent_is_withdrawn_and_the_visit_is_seen(stage):
    async with stage.browser(locale="en-GB") as page:
        await paired(stage, page, "bao")
        await page.click(".pass[data-type=resident_id]")
        await stage.fresh_step()
        await verified(stage, await read_code(page), "hotel.checkin")
        await page.click("summary:has-text('Where')")
        await expect(page.locator("#visits")).to_contain_text("demo desk", timeout=10_000)
        await page.click("summary:has-text('Consent')")
        await page.click("#consents .visit:first-child button")
        await expect(page.locator("#consents .visit:first-child")).to_contain_text("Withdrawn")
        await page.click("#consents .visit:first-child button")
        await expect(page.locator("#consents .visit:first-child")).to_contain_text("Agreed")


async def test_the_wallet_says_that_its_keys_have_ended(stage):
    async with stage.browser(locale="en-GB") as page:
        await page.clock.install()
        await paired(stage, page, "shi")
        await page.click(".pass[data-type=resident_id]")
        await page.wait_for_selector("#codes canvas[data-step]")
        await page.context.set_offline(True)
        await page.clock.fast_forward(100 * 3_600_000)
        await expect(page.locator("#notices")).to_contain_text("The keys have ended")
        await expect(page.locator("#codes")).to_contain_text("No keys for today")
        assert not await page.is_visible("#codes canvas")


async def test_another_tab_learns_of_pairing_and_unpairing(stage):
    async with stage.browser(locale="en-GB") as page:
        other = await page.context.new_page()
        await other.goto(stage.central + "/wallet/")
        await other.wait_for_selector("#pair button")
        await paired(stage, page, "shi")
        await other.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        await other.wait_for_selector("#list .pass")
        page.on("dialog", lambda dialog: dialog.accept())
        await page.click("summary:has-text('This device')")
        await page.click("#unpair")
        await page.wait_for_selector("#pair button")
        await other.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        await other.wait_for_selector("#pair button")


async def test_the_console_reads_the_wallets_own_window_where_there_is_no_camera(stage):
    flags = ["--auto-select-tab-capture-source-by-title=Wallet"]
    async with stage.browser(locale="en-GB", flags=flags) as page:
        await stage.console(page, "office.gatehouse")
        wallet = await page.context.new_page()
        await paired(stage, wallet, "bao")
        await wallet.click(".pass[data-type=resident_id]")
        await wallet.wait_for_selector("#codes canvas[data-step]")
        await stage.fresh_step()
        await page.click("#window")
        assert "Accepted" in await stage.verdict(page, "accept")
