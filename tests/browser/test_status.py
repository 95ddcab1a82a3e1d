"""The node's status page in a real browser: live, drawn, and honest when the node is gone."""

import os
import signal
import time
import uuid

import aiohttp
import pytest

from edge.protocol.kh1 import step_at
from edge.trend import EVERY_S

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def verify(stage, text: str) -> str:
    body = {"scene": "office.gatehouse", "request_id": uuid.uuid4().hex, "presentation": text}
    headers = {"Authorization": f"Bearer {stage.city.gate_credential}"}
    async with (aiohttp.ClientSession(headers=headers) as session,
                session.post(stage.node + "/v1/verifications", json=body) as response):
        return (await response.json())["reason"]


async def test_the_page_draws_what_happens_and_says_when_it_is_old(stage):
    async with stage.browser(locale="en-GB") as page:
        await page.goto(stage.node + "/status")
        assert await page.inner_text("h1") == "Node status"
        end = time.monotonic() + 2 * EVERY_S + 1
        reasons = set()
        while time.monotonic() < end:
            for key in ("bao", "lin", "fang"):
                reasons.add(await verify(
                    stage, stage.city.wallets[key].code("resident_id", step_at(time.time()))))
            await page.wait_for_timeout(500)
        assert {"ok", "presentation_replayed"} <= reasons
        for series in ("accept", "reject", "p50_ms", "keys_age_s", "status_age_s",
                       "stage.authenticate", "stage.journal"):
            await page.wait_for_selector(
                f'.spark[data-series="{series}"] .line', state="attached")
        accepted = await page.inner_text(".spark[data-series=accept] b")
        assert accepted.endswith("/s")
        size = int(await page.inner_text("[data-fact='journal.size']"))
        await verify(stage, "KH1:")
        while int(await page.inner_text("[data-fact='journal.size']")) <= size:
            await page.wait_for_timeout(200)
        assert await page.is_hidden("#lost")
        if folder := os.environ.get("KANHE_SHOTS"):
            await page.screenshot(path=f"{folder}/status.png", full_page=True)
        os.kill(stage.city.node.pid, signal.SIGSTOP)
        try:
            await page.wait_for_selector("#lost", state="visible")
        finally:
            os.kill(stage.city.node.pid, signal.SIGCONT)
        await page.wait_for_selector("#lost", state="hidden")


async def test_without_its_script_the_page_is_whole(stage):
    async with stage.browser(locale="zh-CN", java_script_enabled=False) as page:
        await page.goto(stage.node + "/status")
        text = await page.inner_text("main")
        assert "就绪" in text
        assert "防重放范围" in text
