"""Two nodes of one site as real processes, with one Redis between them."""

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import aiohttp
import pytest

from edge.protocol.kh1 import step_at
from kanhe.demo.people import PEOPLE
from kanhe.demo.processes import Service
from tests.fakes.running_city import FarCity
from tests.site.redis_server import RedisServer, why_absent

ROOT = Path(__file__).resolve().parents[2]
JOINED_S_MAX = 60.0


def kanhe(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "kanhe", *map(str, arguments)], cwd=ROOT,
                          capture_output=True, text=True, check=False)


class Site:
    """The demo's city with a second node at its desk."""

    def __init__(self, folder: Path, packs: Path) -> None:
        self.redis, self.city = RedisServer("requirepass horse"), FarCity(folder, packs)
        self.folder, self.nodes = folder, []

    async def start(self) -> None:
        await self.city.start_central()
        key, password = self.folder / "site.key", self.folder / "password"
        assert kanhe("edge", "site-key", key).returncode == 0
        password.write_text("horse\n")
        for name in ("east", "west"):
            code = (await self.city.admin("POST", "/v1/node-codes"))["code"]
            config = self.folder / f"{name}.toml"
            config.write_text(
                f'data_dir = "{self.folder / name}"\npacks_dir = "{self.city._packs.resolve()}"\n'
                f'[listen]\nport = 0\n[holding]\nmode = "demand"\n'
                f'[central]\nlookup_ms = 5000\npoll_s = 55\n'
                f'[redis]\nurl = "{self.redis.url}"\nkey_file = "{key}"\n'
                f'password_file = "{password}"\ndeadline_ms = 250\n')
            done = kanhe("edge", "enrol", "--config", config, "--url", self.city.central_url,
                         "--code", code, "--name", name)
            assert done.returncode == 0, done.stderr
            service = Service(name, ["edge", "run", "--config", str(config)],
                              self.folder / f"{name}.log")
            self.nodes.append(service)
            service.wait_ready()
        await self.city.found()

    def stop(self) -> None:
        for node in self.nodes:
            node.stop()
        self.city.stop()
        self.redis.remove()

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.city.gate_credential}"}

    async def status(self, node: Service) -> dict:
        async with (aiohttp.ClientSession(headers=self.headers) as session,
                    session.get(node.url + "/v1/status") as response):
            return await response.json()

    async def until(self, node: Service, state: str) -> dict:
        async with asyncio.timeout(JOINED_S_MAX):
            # A gate that was just made is not known at once.
            while (status := await self.status(node)).get("site", {}).get("state") != state:
                await asyncio.sleep(0.2)
        return status

    async def show(self, node: Service, code: str, request: str) -> dict:
        body = {"scene": "office.gatehouse", "request_id": request, "presentation": code}
        async with (aiohttp.ClientSession(headers=self.headers) as session,
                    session.post(node.url + "/v1/verifications", json=body) as response):
            return await response.json()


@pytest.fixture
async def site(tmp_path, face_pack_dir):
    if missing := why_absent():
        pytest.skip(missing)
    site = Site(tmp_path, face_pack_dir.parent)
    try:
        await site.start()
        yield site
    finally:
        site.stop()


async def test_two_nodes_of_a_site_accept_a_code_once_and_go_on_without_redis(site):
    east, west = site.nodes
    for node in site.nodes:
        status = await site.until(node, "shared")
        assert status["replay_scope"] == "site"
    wallet = site.city.wallets[PEOPLE[0].key]
    code = wallet.code("resident_id", step_at(time.time()))
    first = await site.show(east, code, "one")
    assert (first["decision"], first["evidence"]["replay_scope"]) == ("accept", "site")
    # The other node needn't ask the platform for a holder that this one asked for.
    async with asyncio.timeout(10):
        while (await site.status(east))["site"]["lookups_kept"] < 1:
            await asyncio.sleep(0.1)
    assert (await site.show(west, code, "two"))["reason"] == "presentation_replayed"
    assert (await site.status(west))["site"]["lookups_found"] == 1
    async with asyncio.timeout(10):
        while (await site.status(east))["site"]["answers_kept"] < 1:
            await asyncio.sleep(0.1)
    assert await site.show(west, code, "one") == first
    site.redis.kill()
    person = site.city.wallets[PEOPLE[1].key]
    code = person.code("resident_id", step_at(time.time()))
    alone = await site.show(east, code, "three")
    assert (alone["decision"], alone["evidence"]["replay_scope"]) == ("accept", "node")
    status = await site.until(east, "unreachable")
    assert status["ready"]
    assert status["site"]["alone"] == 1
    async with (aiohttp.ClientSession() as session,
                session.get(east.url + "/metrics") as response):
        text = await response.text()
    for line in ('kanhe_site_state{state="unreachable"} 1.0',
                 'kanhe_replay_scope{scope="node"} 1.0', "kanhe_site_call_seconds_count 1.0",
                 'kanhe_site_spends_total{result="node"} 1.0',
                 'kanhe_site_spends_total{result="site"} 1.0'):
        assert line in text, line
    site.redis.start()
    await site.until(east, "began_anew")
    assert (await site.show(west, code, "four"))["reason"] in {"presentation_replayed",
                                                              "step_expired"}
    logs = "".join((site.folder / f"{name}.log").read_text() for name in ("east", "west"))
    assert "site.alone" in logs
    assert "horse" not in logs


def test_a_site_key_is_made_once(tmp_path):
    key = tmp_path / "site.key"
    assert kanhe("edge", "site-key", key).returncode == 0
    assert key.stat().st_mode & 0o777 == 0o600
    secret = key.read_bytes()
    again = kanhe("edge", "site-key", key)
    assert again.returncode != 0
    assert "copy it" in again.stderr
    assert key.read_bytes() == secret


def test_a_redis_without_the_sites_key_is_refused_with_words(tmp_path):
    config = tmp_path / "edge.toml"
    config.write_text(f'data_dir = "{tmp_path}"\n[redis]\nurl = "redis://127.0.0.1:1"\n')
    checked = kanhe("edge", "check-config", "--config", config)
    assert checked.returncode == 1
    assert "kanhe edge site-key" in checked.stdout + checked.stderr
