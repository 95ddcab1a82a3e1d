"""Pictures of every page, as `make screenshots` keeps them in docs/screenshots."""

import os
from pathlib import Path

import pytest

from tests.browser.test_challenges import asked, shown
from tests.browser.test_console import SCAN, keys_of
from tests.browser.test_wallet import paired

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.skipif(not os.environ.get("KANHE_SCREENSHOTS"),
                       reason="pictures are made by `make screenshots`"),
]
FOLDER = Path(__file__).resolve().parents[2] / "docs" / "screenshots"
WIDE, TABLET, PHONE = ({"width": 1180, "height": 820}, {"width": 820, "height": 1180},
                       {"width": 390, "height": 844})


async def shoot(page, name: str, *, whole: bool = False) -> None:
    FOLDER.mkdir(exist_ok=True)
    await page.wait_for_timeout(350)
    await page.screenshot(path=FOLDER / f"{name}.png", full_page=whole)


async def test_pictures_of_the_console(stage):
    film = stage.film(("code", "lin", 3), ("face", "lin", 8))
    async with stage.browser(film=film, locale="en-GB", viewport=WIDE) as page:
        await page.goto(stage.node + "/signin")
        await shoot(page, "signin")
        await stage.console(page)
        await stage.fresh_step(4.0)
        stage.film(("code", "lin", 3), ("face", "lin", 8))
        await page.click("#camera")
        await stage.verdict(page, "accept")
        await shoot(page, "console-accept")
        await page.goto(stage.node + "/desk")
        await shoot(page, "desk")
        await page.goto(stage.node + "/accounts")
        await shoot(page, "accounts")
        await page.goto(stage.node + "/status")
        await shoot(page, "node-status", whole=True)
    async with stage.browser(locale="zh-CN", viewport=TABLET, color_scheme="dark") as page:
        await stage.console(page)
        code = stage.city.wallets["fang"].code("resident_id", await stage.fresh_step())
        await page.evaluate(SCAN, keys_of(code))
        await stage.verdict(page, "wait")
        await page.click("#noface")
        await shoot(page, "console-decision-dark")
        await page.evaluate(SCAN, keys_of(code))
        await stage.verdict(page, "reject")
        await shoot(page, "console-replay-dark")


async def test_pictures_of_the_wallet(stage):
    async with stage.browser(locale="zh-CN", viewport=PHONE, device_scale_factor=2) as page:
        await page.goto(stage.central + "/wallet/")
        await shoot(page, "wallet-pair")
        await paired(stage, page, "bao")
        await shoot(page, "wallet-cards")
        await page.click(".pass[data-type=resident_id]")
        await page.wait_for_selector("#codes canvas[data-step]")
        await shoot(page, "wallet-code")
        await page.click("#hide")
        for box in await page.query_selector_all("#list input"):
            await box.check()
        await page.click("#together")
        await page.wait_for_selector("#codes figure:nth-child(2) canvas[data-step]")
        await shoot(page, "wallet-together")


async def test_pictures_of_the_administration(stage):
    async with stage.browser(locale="en-GB", viewport=WIDE) as page:
        await stage.sign_in(page, stage.central, "admin")
        for path in ("", "holders", "scenes", "scenes/hotel.checkin", "nodes", "gates",
                     "journal", "acts"):
            await page.goto(f"{stage.central}/{path}")
            await shoot(page, f"admin-{path.replace('/', '-') or 'overview'}", whole=True)
        await page.goto(f"{stage.central}/holders/{stage.city.holders['bao']}")
        await shoot(page, "admin-holder", whole=True)


async def test_pictures_of_a_movement_that_is_asked_for(stage, clinic):
    async with stage.browser(locale="en-GB", viewport=WIDE) as page:
        await shown(stage, page, clinic, "clinic.desk")
        await asked(page)
        await page.wait_for_timeout(1_200)
        await shoot(page, "console-challenge")
