"""The node's status page in a real browser: live, drawn, and honest when the node is gone."""

import asyncio
import os
import signal
import time

import aiohttp
import pytest
from aiohttp.test_utils import make_mocked_request

from edge.protocol.kh1 import step_at
from edge.trend import EVERY_S
from edge.ui.pages import Pages
from tests.fakes.running_city import verified

pytestmark = pytest.mark.asyncio(loop_scope="session")
DRAWN_S_MAX = 12 * EVERY_S
"""A line needs two looks of the node at itself; a busy machine takes more."""


async def verify(stage, text: str) -> str:
    return (await verified(stage.city, "office.gatehouse", {"presentation": text}))["reason"]


async def look(page) -> None:
    """Have the page look now, as it does when it is seen again, instead of in five seconds."""
    await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


async def test_the_page_draws_what_happens_and_says_when_it_is_old(stage):
    wanted = ("accept", "reject", "p50_ms", "keys_age_s", "status_age_s", "stage.authenticate",
              "stage.journal")
    async with stage.browser(locale="en-GB") as page:
        await page.goto(stage.node + "/status")
        assert await page.inner_text("h1") == "Node status"
        drawn = ", ".join(f'.spark[data-series="{series}"] .line' for series in wanted)
        end, reasons, count = time.monotonic() + DRAWN_S_MAX, set(), 0
        while count < len(wanted) or not {"ok", "presentation_replayed"} <= reasons:
            assert time.monotonic() < end, f"{count} of {len(wanted)} were drawn, {reasons}"
            for key in ("bao", "lin", "fang"):
                reasons.add(await verify(
                    stage, stage.city.wallets[key].code("resident_id", step_at(time.time()))))
            await look(page)
            await page.wait_for_timeout(500)
            count = await page.locator(drawn).count()
        accepted = await page.inner_text(".spark[data-series=accept] b")
        assert accepted.endswith("/s")
        assert await page.inner_text("[data-fact='replay_scope']") == "this node"
        assert (await page.inner_text("[data-fact='status_age_s']")).endswith(" s")
        size = int(await page.inner_text("[data-fact='journal.size']"))
        await verify(stage, "KH1:")
        async with asyncio.timeout(DRAWN_S_MAX):
            while int(await page.inner_text("[data-fact='journal.size']")) <= size:
                await look(page)
                await page.wait_for_timeout(200)
        assert await page.is_hidden("#lost")
        os.kill(stage.city.node.pid, signal.SIGSTOP)
        try:
            await look(page)
            await page.wait_for_selector("#lost", state="visible")
        finally:
            os.kill(stage.city.node.pid, signal.SIGCONT)
        await look(page)
        await page.wait_for_selector("#lost", state="hidden")


async def test_without_its_script_the_page_is_whole(stage):
    async with stage.browser(locale="zh-CN", java_script_enabled=False) as page:
        await page.goto(stage.node + "/status")
        text = await page.inner_text("main")
        assert "就绪" in text
        assert "防重放范围" in text
        assert "本节点" in text


@pytest.mark.parametrize("gallery,words", [
    ({"references": 1_234}, "Gallery (1:N) references 1234"), (1_234, "Gallery (1:N) 1234")])
async def test_a_node_that_searches_by_face_shows_how_many_it_searches(stage, gallery, words):
    async with (aiohttp.ClientSession() as session,
                session.get(stage.node + "/status/live") as response):
        live = await response.json()
    shown = {**live["status"], "gallery": gallery}
    async with stage.browser(locale="en-GB") as page:
        text = Pages(("edge.web",), ("节点", "Node")).text(
            make_mocked_request("GET", "/status", headers={"Accept-Language": "en"}),
            "status.html", {"status": shown})
        await page.set_content(text)
        facts = " ".join((await page.inner_text(".split")).split())
        assert words in facts


async def test_every_fact_of_a_real_node_is_words_or_a_number_once_the_script_renewed_it(stage):
    async with stage.browser(locale="en-GB") as page:
        await page.goto(stage.node + "/status")
        async with page.expect_response("**/status/live"):
            pass
        await page.wait_for_timeout(200)
        facts = " ".join((await page.inner_text(".split")).split())
        assert "Gallery (1:N) references" in facts
        assert "[object" not in facts
        assert "GalleryShown" not in facts
