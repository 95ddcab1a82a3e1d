"""An upgrade and the way back keep cache, journal and answers; an old backup is noticed.

The previous version is taken from this repository's history and run for real: it enrols, fills its
folder and answers before this one does. KANHE_PREVIOUS names another checkout.
"""

import asyncio
import os
import shutil
import subprocess
import tarfile
import time
import uuid
from pathlib import Path

import aiohttp
import pytest

from edge.audit.verify import verify_journal
from edge.protocol.kh1 import step_at
from tests.deploy.conftest import ROOT, Started, kanhe
from tests.fakes.loopback import free_port

pytestmark = pytest.mark.asyncio(loop_scope="module")
COMMIT = "3c69208"
"""The version before migrations, renewable references and pack format 2: the furthest way."""
NODE_COMMIT = "b237e28"
"""The first version whose nodes follow a sealed feed; older ones go before the platform."""
PACKS, NODE_PACKS = (ROOT / "var" / f"packs-{commit}" for commit in (COMMIT, NODE_COMMIT))
"""Where that version makes its face pack; kept for the next run, as `var/packs` is."""


@pytest.fixture(scope="module")
def previous(tmp_path_factory) -> Path:
    """A checkout of the previous version."""
    return checkout(tmp_path_factory.mktemp("previous"), COMMIT)


@pytest.fixture(scope="module")
def previous_node(tmp_path_factory) -> Path:
    """A checkout of the previous version that today's platform can serve."""
    return checkout(tmp_path_factory.mktemp("previous-node"), NODE_COMMIT)


def checkout(folder: Path, commit: str) -> Path:
    """Take a version from the history of this repository."""
    if named := os.environ.get("KANHE_PREVIOUS"):
        return Path(named)
    archive = folder / "previous.tar"
    done = subprocess.run(["git", "archive", "-o", str(archive), commit], cwd=ROOT, check=False,
                          capture_output=True, text=True, timeout=60)
    if done.returncode:
        pytest.skip(f"the history of the repository isn't here: {done.stderr.strip()}")
    with tarfile.open(archive) as file:
        # Python 3.11.2 knows no filters yet; 3.14 has this one by itself.
        known = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        file.extractall(folder / "code", **known)
    return folder / "code"


class Node:
    """A node's data folder, run by one version after the other."""

    def __init__(self, city, data: Path, folder: Path) -> None:
        self._city, self._folder, self._data = city, folder, data
        lines = (city.folder / "edge.toml").read_text().splitlines()
        self._packs = next(line for line in lines if line.startswith("packs"))

    def config(self, code: Path) -> Path:
        """Write the configuration; each version has the packs that it makes."""
        packs = self._packs if code == ROOT else f'packs_dir = "{NODE_PACKS}"'
        path = self._folder / "edge.toml"
        path.write_text(f'data_dir = "{self._data}"\n{packs}\n')
        return path

    def enrol(self, code: Path, one_time: str) -> None:
        """Make the folder, as that version does."""
        done = subprocess.run(
            kanhe("edge", "enrol", "--config", str(self.config(code)), "--url",
                  self._city.central.url, "--code", one_time, "--name", "upgraded"),
            cwd=self._folder, env={**os.environ, "PYTHONPATH": str(code)}, capture_output=True,
            text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr

    def __call__(self, code: Path):
        self._started = Started(
            kanhe("edge", "run", "--config", str(self.config(code))), cwd=self._folder, code=code)
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


def agree(one: object, other: object) -> bool:
    """Tell whether two answers say the same in all that both versions know.

    A version may know members that the other doesn't; what decides is in both.
    """
    if isinstance(one, dict) and isinstance(other, dict):
        both = one.keys() & other.keys()
        return bool(both) and all(agree(one[name], other[name]) for name in both)
    return one == other


def the_same(one: dict, other: dict) -> bool:
    """Tell whether this is the same answer, given again by another version."""
    assert {"verification_id", "decision", "reason", "receipt", "credential"} <= one.keys()
    return one["receipt"] == other["receipt"] and agree(one, other)


async def until(look, what, tries: int = 150) -> dict:
    for _ in range(tries):
        found = await look()
        if what(found):
            return found
        await asyncio.sleep(0.1)
    raise AssertionError(f"it didn't come to that: {found}")


async def test_upgrade_and_roll_back_keep_cache_journal_and_answers(
        city, tmp_path, previous_node):
    data = tmp_path / "data"
    node = Node(city, data, tmp_path)
    node.enrol(previous_node, (await city.admin("POST", "/v1/node-codes"))["code"])
    with node(previous_node):
        await until(node.status, lambda status: status.get("ready"))
        first = showing(city, "bao")
        given = await node.ask(first)
        held = (await node.status())["held"]
        assert given["reason"] == "ok"
    shutil.copytree(data, tmp_path / "backup")

    with node(ROOT):  # the upgrade
        assert the_same(await node.ask(first), given)
        assert (await node.status())["held"] == held
        assert (await node.ask({**first, "request_id": "again"}))["reason"] != "ok"
        second = showing(city, "lin")
        later = await node.ask(second)
        assert later["reason"] == "ok"

    with node(previous_node):  # the way back, on the same folder
        assert the_same(await node.ask(first), given)
        assert the_same(await node.ask(second), later)
        assert (await node.status())["held"] == held
        # It has no memory of what was spent, so codes up to its restart's window are refused.
        await until(lambda: node.ask(showing(city, "fang")),
                    lambda given: given["reason"] == "ok", tries=450)
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


class OfPlatform:
    """A platform's data folder, run by one version after the other."""

    def __init__(self, folder: Path, packs: Path) -> None:
        self._folder, self._packs = folder, packs

    async def ask(self, code: Path, method: str, path: str, body: object = None) -> dict:
        """Start that version, ask it one thing, stop it."""
        packs = self._packs if code == ROOT else PACKS
        config = self._folder / "central.toml"
        config.write_text(f'data_dir = "{self._folder / "data"}"\npacks_dir = "{packs}"\n'
                          f"port = {free_port()}\n")
        started = Started(kanhe("central", "run", "--config", str(config)), cwd=self._folder,
                          code=code)
        try:
            url = await asyncio.to_thread(started.url)
            token = (self._folder / "data" / "keys" / "admin.token").read_text().strip()
            async with (aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as s,
                        s.request(method, url + path, json=body) as response):
                assert response.status < 300, await response.text()
                return await response.json()
        finally:
            assert await asyncio.to_thread(started.stop) == 0, started.errors.read_text()[-2_000:]


async def test_a_platform_goes_to_this_version_and_back_on_one_folder(
    tmp_path, previous, face_pack_dir
):
    platform = OfPlatform(tmp_path, face_pack_dir.parent)

    def gate(label: str) -> dict:
        return {"label": label, "scenes": ["hotel.checkin"]}

    async def labels(code: Path) -> list[str]:
        return [item["label"] for item in (await platform.ask(code, "GET", "/v1/gates"))["gates"]]

    await platform.ask(previous, "POST", "/v1/gates", gate("old"))
    await platform.ask(ROOT, "POST", "/v1/gates", {**gate("new"), "rate_per_s": 5})
    assert await labels(ROOT) == ["old", "new"]
    # Before its first change there was a copy of the database as it had been.
    assert list((tmp_path / "data").glob("central.db.schema-*"))
    assert await labels(previous) == ["old", "new"]
    await platform.ask(previous, "POST", "/v1/gates", gate("back"))
    assert await labels(ROOT) == ["old", "new", "back"]
