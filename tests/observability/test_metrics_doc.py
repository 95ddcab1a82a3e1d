"""The list of metrics is the list of metrics."""

import re

import aiohttp
import pytest

from tests.observability.conftest import ROOT

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_every_metric_is_described_and_every_description_has_its_metric(monitored):
    shown = set()
    async with aiohttp.ClientSession() as session:
        for url in (monitored.city.node_url, monitored.city.central.url):
            async with session.get(url + "/metrics") as response:
                text = await response.text()
            for name, kind in re.findall(r"^# TYPE (kanhe_\w+) (\w+)$", text, re.MULTILINE):
                if not name.endswith("_created"):
                    shown.add(name)
                    assert kind in {"counter", "gauge", "histogram"}
    described = set(re.findall(r"`(kanhe_\w+)`", (ROOT / "docs" / "metrics.md").read_text()))
    assert described == shown
