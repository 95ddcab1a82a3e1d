"""An upgrade and the way back keep cache, journal and answers; an old backup is noticed.

The previous version is the checkout that KANHE_PREVIOUS names; without it, this one plays both.
"""

import asyncio
import os
import shutil
import time
import uuid
from pathlib import Path

import aiohttp
import pytest

from edge.audit.verify import verify_journal
from edge.protocol.kh1 import step_at
from tests.deploy.conftest import ROOT, Started, kanhe

pytestmark = pytest.mark.asyncio(loop_scope="module")
PREVIOUS = Path(os.environ.get("KANHE_PREVIOUS", ROOT))


class Node:
    """A node's data folder, run by one version after the other."""

    def __init__(self, city, data: Path, folder: Path) -> None:
        self._city, self._folder = city, folder
        self._config = folder / "edge.toml"
        packs = city.folder / "edge.toml"
        line = next(line for line in packs.read_text().splitlines() if line.startswith("packs"))
        self._config.write_text(f'data_dir = "{data}"\n{line}\n')

    def __call__(self, code: Path):
        self._started = Started(
            kanhe("edge", "run", "--config", str(self._config)), cwd=self._folder, code=code)
        return self

    def __enter__(self) -> "Node":
        self.url = self._started.url()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._started.stop() == 0, self._started.errors.read_text()[-2_000:]

    async def ask(self, body: dict) -> dict:
        return await self._call("POST", "/v1/verifications", body)

    async def status(self) -> dict:
        return await self._call("GET", "/v1/status", None)

    async def _call(self, method: str, path: str, body: dict | None) -> dict:
        headers = {"Authorization": f"Bearer {self._city.gate_credential}"}
        async with (aiohttp.ClientSession(headers=headers) as session,
                    session.request(method, self.url + path, json=body) as response):
            return await response.json()


def showing(city, key: str) -> dict:
    return {"scene": "office.gatehouse", "request_id": uuid.uuid4().hex,
            "presentation": city.wallets[key].code("resident_id", step_at(time.time()))}


async def until(look, what) -> dict:
    for _ in range(150):
        found = await look()
        if what(found):
            return found
        await asyncio.sleep(0.1)
    raise AssertionError(f"it didn't come to that: {found}")


async def test_upgrade_and_roll_back_keep_cache_journal_and_answers(city, tmp_path):
    data = city.folder / "edge"
    node = Node(city, data, tmp_path)
    with node(PREVIOUS):
        first = showing(city, "bao")
        given = await node.ask(first)
        held = (await node.status())["held"]
        assert given["reason"] == "ok"
    shutil.copytree(data, tmp_path / "backup")

    with node(ROOT):  # the upgrade
        assert await node.ask(first) == given
        assert (await node.status())["held"] == held
        assert (await node.ask({**first, "request_id": "again"}))["reason"] != "ok"
        second = showing(city, "lin")
        later = await node.ask(second)
        assert later["reason"] == "ok"

    with node(PREVIOUS):  # the way back, on the same folder
        assert await node.ask(first) == given
        assert await node.ask(second) == later
        assert (await node.status())["held"] == held
        assert (await node.ask(showing(city, "fang")))["reason"] == "ok"
        shipped = await until(
            node.status, lambda s: s["journal"]["acknowledged"] == s["journal"]["size"])
    report = verify_journal(data / "journal")
    assert report.whole, report.problems
    leaves = {record["leaf"] for record in (
        await city.admin("GET", "/v1/journal?limit=1000"))["records"]}
    assert {given["receipt"]["leaf"], later["receipt"]["leaf"]} <= leaves
    assert shipped["journal"]["state"] == "idle"

    # The backup is older than what the platform holds: it says so and doesn't overwrite.
    old = Node(city, tmp_path / "backup", tmp_path)
    with old(ROOT):
        await old.ask(showing(city, "shi"))
        status = await until(old.status, lambda s: s["journal"]["state"] == "diverged")
    assert status["journal"]["error"]
    assert verify_journal(data / "journal").whole
