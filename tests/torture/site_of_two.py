"""A platform and two nodes that share one Redis, each of several processes and with a clock to set.

- Real processes on loopback, each ended by its own id.
- A node's clock is set by `set_clock/sitecustomize.py`, for it and its workers only.
"""

import asyncio
import contextlib
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp

from edge.clock.judge import Word
from edge.clock.kept import Given, keep_word
from edge.clock.kernel import anchor_s, read_boot_id
from edge.errors import OperatingError
from edge.node_key import create_secret
from kanhe.commands.loadtest import fill_city
from kanhe.demo.crowd import Size
from kanhe.demo.processes import Service
from loadtest.data import CityData, load_data
from tests.fakes.running_city import FarCity
from tests.site.redis_server import RedisServer

PROCESSES = 2
DEADLINE_MS = 250
"""Longer than by default: a busy machine must not be taken for a slow Redis all the time."""
HELD_S_MAX = 120.0
SET_CLOCK = Path(__file__).parent / "set_clock"
_OFFSET = struct.Struct("<d")


class SiteNode:
    """One node: its configuration, its process, its clock."""

    def __init__(self, city: "SiteOfTwo", name: str) -> None:
        self.name, self.data_dir = name, city.folder / name
        self.config, self._log = city.folder / f"{name}.toml", city.folder / f"{name}.log"
        self._clock = city.folder / f"{name}.clock"
        self._clock.write_bytes(_OFFSET.pack(0.0))
        self.service: Service | None = None
        self.up = False
        self.config.write_text(
            f'data_dir = "{self.data_dir}"\npacks_dir = "{city.packs.resolve()}"\n'
            f'[listen]\nport = 0\n[redis]\nurl = "{city.redis.url}"\n'
            f'key_file = "{city.site_key}"\ndeadline_ms = {DEADLINE_MS}\n')

    def enrol(self, url: str, code: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "kanhe", "edge", "enrol", "--config", str(self.config),
             "--url", url, "--code", code, "--name", self.name],
            capture_output=True, text=True, check=False)
        if done.returncode:
            raise OperatingError(f"{self.name} couldn't be enrolled: {done.stderr.strip()}")

    def start(self) -> None:
        """Start it and wait until it says that it is ready."""
        with self._own_clock():
            self.service = Service(
                self.name, ["edge", "run", "--config", str(self.config),
                            "--workers", str(PROCESSES)], self._log)
        self.service.wait_ready()
        self.up = True

    def kill(self) -> None:
        self.up = False
        os.kill(self.service.pid, signal.SIGKILL)
        self.service.wait()

    def stop(self) -> None:
        self.up = False
        if self.service is not None:
            self.service.stop()

    def set_clock(self, offset_s: float, *, vouched: bool) -> None:
        """Set the clock beside the true time; whoever sets it may also vouch for it."""
        if vouched:
            anchor = anchor_s()
            keep_word(self.data_dir, Given(boot_id=read_boot_id(), word=Word(
                time.time() + offset_s - anchor, anchor, 0.0)))
        # Written over: what is mapped must stay this file.
        with self._clock.open("r+b") as file:
            file.write(_OFFSET.pack(offset_s))

    @contextlib.contextmanager
    def _own_clock(self) -> Iterator[None]:
        before = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(SET_CLOCK), before)))
        os.environ["TEST_CLOCK_FILE"] = str(self._clock)
        try:
            yield
        finally:
            del os.environ["TEST_CLOCK_FILE"], os.environ["PYTHONPATH"]
            if before is not None:
                os.environ["PYTHONPATH"] = before


class SiteOfTwo(FarCity):
    """The city; `begin` starts all of it and gives the crowd's keys."""

    def __init__(self, folder: Path, packs: Path) -> None:
        super().__init__(folder, packs)
        self.packs, self.site_key = packs, folder / "site.key"
        self.redis = RedisServer()
        create_secret(self.site_key)
        self.nodes: list[SiteNode] = []

    def start_node(self, code: str) -> None:
        node = SiteNode(self, ("east", "west")[len(self.nodes)])
        self.nodes.append(node)
        node.enrol(self.central_url, code)
        node.start()
        self.node = self.nodes[0].service

    async def begin(self, credentials: int, gates: int) -> CityData:
        out = self.folder / "loadtest"
        await fill_city(self, out, Size(credentials=credentials, gates=gates),
                        lambda text: print(text, flush=True))
        code = (await self.admin("POST", "/v1/node-codes"))["code"]
        await asyncio.to_thread(self.start_node, code)
        data = load_data(out)
        headers = {"Authorization": f"Bearer {data.gates[-1].credential}"}
        async with asyncio.timeout(HELD_S_MAX), aiohttp.ClientSession(headers=headers) as session:
            for node in self.nodes:
                while not await self._ready(session, node, credentials):
                    await asyncio.sleep(0.2)
        return data

    async def _ready(self, session, node: SiteNode, credentials: int) -> bool:
        async with session.get(node.service.url + "/v1/status") as response:
            status = await response.json()
        return (status.get("held", {}).get("credentials", 0) >= credentials
                and status["processes"]["serving"] == PROCESSES
                and status["site"]["state"] in {"shared", "began_anew"})

    def stop(self) -> None:
        for node in self.nodes:
            node.stop()
        self.node = None
        super().stop()
        self.redis.remove()
