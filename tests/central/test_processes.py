"""Two real processes of the platform on one PostgreSQL, as a site would run them."""

import asyncio
import os
import signal
import time
from pathlib import Path

import aiohttp
import pytest

from kanhe.demo.processes import Service
from tests.central.site import Site
from tests.fakes.loopback import free_port

SOON_S = 5.0
"""Some 10 ms, and more on a busy machine; a poll that isn't woken is answered after 30 s."""
HEARD_S_MAX = 30.0


class Pair:
    """Two processes, A and B, of one data folder and one database."""

    def __init__(self, folder: Path, packs: Path, address: str) -> None:
        self.folder = folder
        self._config = folder / "central.toml"
        self._config.write_text(
            f'data_dir = "{folder / "central"}"\ndatabase_url = "{address}"\n'
            f'packs_dir = "{packs}"\nport = {free_port()}\n')
        self.services: dict[str, Service] = {}

    def start(self, name: str) -> None:
        service = Service(
            f"platform {name}", ["central", "run", "--config", str(self._config)],
            self.folder / f"{name}.log")
        service.wait_ready()
        self.services[name] = service

    def kill(self, name: str) -> None:
        service = self.services.pop(name)
        os.kill(service.pid, signal.SIGKILL)
        service.wait()

    def stop(self) -> None:
        for service in self.services.values():
            service.stop()

    async def admin(self, name, method, path, body=None):
        token = (self.folder / "central" / "keys" / "admin.token").read_text().strip()
        async with aiohttp.ClientSession() as session, session.request(
            method, self.services[name].url + path, json=body,
            headers={"Authorization": f"Bearer {token}"},
        ) as response:
            assert response.status < 300, await response.text()
            return await response.json()

    async def hears(self, name):
        async with asyncio.timeout(HEARD_S_MAX):
            while not (await self.admin(name, "GET", "/v1/status"))["database"]["hears"]:
                await asyncio.sleep(0.05)


@pytest.fixture
async def pair(postgres, tmp_path, face_pack_dir):
    pair = Pair(tmp_path, face_pack_dir.parent, postgres.new_database())
    await asyncio.to_thread(pair.start, "A")
    await asyncio.to_thread(pair.start, "B")
    yield pair
    pair.stop()


async def test_a_node_at_one_hears_of_changes_at_the_other_whatever_is_restarted(pair, postgres):
    await pair.hears("B")
    site = Site(pair.services["B"].url, now=time.time)
    await site.enrol((await pair.admin("A", "POST", "/v1/node-codes"))["code"])
    await site.start()
    await site.online()

    async def change(name):
        began = time.monotonic()
        gate = await pair.admin(name, "POST", "/v1/gates", {"label": "d", "scenes": ["s"]})
        await site.until(lambda: gate["gate_id"] in site.trust.gates)
        return time.monotonic() - began

    assert max([await change("A") for _ in range(5)]) < SOON_S
    pair.kill("A")
    await asyncio.to_thread(pair.start, "A")
    assert await change("A") < SOON_S
    await asyncio.to_thread(postgres.restart)
    await pair.hears("A")
    await pair.hears("B")
    await site.online()
    assert await change("A") < SOON_S
    site.write(20)
    await site.shipped()
    held = (await pair.admin("A", "GET", "/v1/journal"))["records"]
    assert [row["index"] for row in held] == list(range(20))
    await site.stop()
