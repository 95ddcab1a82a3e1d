"""A city whose node runs as several processes, and gates that know which of them they speak to."""

import asyncio
import itertools
import json
import time
from pathlib import Path

import aiohttp

from edge.protocol.kh1 import step_at
from kanhe.commands.loadtest import fill_city
from kanhe.demo.crowd import Size
from loadtest.data import load_data
from loadtest.wallet import Wallet
from tests.fakes.running_city import FarCity
from tests.fakes.waiting import until

SCENE = "office.gatehouse"
PROCESSES = 3
_numbers = itertools.count()


def children(pid: int) -> list[int]:
    """Give the workers of a node: the zbar child is none."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return [child for child in found if b"crew.worker" in _command(child)]


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"


def owner_of(client_port: int, server_port: int, pids: list[int]) -> int | None:
    """Give the process that holds the server's end of a connection of loopback."""
    mark = f":{server_port:04X} 0100007F:{client_port:04X} "
    for line in Path("/proc/net/tcp").read_text().splitlines():
        if mark in line:
            wanted = f"socket:[{line.split()[9]}]"
            for pid in pids:
                for fd in Path(f"/proc/{pid}/fd").iterdir():
                    try:
                        if str(fd.readlink()) == wanted:
                            return pid
                    except OSError:
                        continue
    return None


class Gate:
    """One kept connection of a gate, that makes one call after the other."""

    def __init__(self, url: str, credential: str, context=None) -> None:
        self.port = int(url.rpartition(":")[2])
        self._credential, self._context = credential, context

    async def open(self) -> "Gate":
        self._reader, self._writer = await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=self._context)
        self.client_port = self._writer.get_extra_info("sockname")[1]
        return self

    def close(self) -> None:
        self._writer.close()

    async def show(self, code, request_id=None, scene=SCENE, more=""):
        body = json.dumps({"scene": scene, "presentation": code,
                           "request_id": request_id or f"r{next(_numbers)}"})[:-1] + more + "}"
        return await self.call("POST", "/v1/verifications", body.encode())

    async def call(self, method, path, body=b"", kind="application/json", credential=None):
        """Make one call; gives status, headers and body."""
        self._writer.write(
            f"{method} {path} HTTP/1.1\r\nHost: gate\r\nContent-Type: {kind}\r\n"
            f"Authorization: Bearer {credential or self._credential}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        return await self.read()

    async def read(self):
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in
                   (line.partition(": ") for line in head[1:] if line)}
        body = await self._reader.readexactly(int(headers["content-length"]))
        return int(head[0].split()[1]), headers, body


class Site(FarCity):
    """The city; `processes` of its node share the port."""

    async def begin(self, processes: int, credentials: int = 600) -> "Site":
        self.processes = processes
        out = self.folder / "loadtest"
        await fill_city(self, out, Size(credentials=credentials, gates=12), lambda _: None)
        data = load_data(out)
        self.gates = [gate.credential for gate in data.gates]
        self.gate_credential = self.gates[0]
        self.ids = [line.credential_id for line in data.wallets]
        self.crowd = [Wallet(line, 1) for line in data.wallets]
        await self.all_serving()
        return self

    def _configure(self, name: str, more: str) -> Path:
        if name == "edge":
            more += f"[workers]\nprocesses = {self.processes}\n{self.extra}"
        return super()._configure(name, more)

    extra = ""

    @property
    def pids(self) -> list[int]:
        return [self.node.pid, *children(self.node.pid)]

    async def status(self) -> dict:
        headers = {"Authorization": f"Bearer {self.gate_credential}"}
        async with (aiohttp.ClientSession(headers=headers) as session,
                    session.get(self.node_url + "/v1/status") as response):
            return await response.json()

    async def all_serving(self) -> None:
        async def serving():
            return (await self.status())["processes"]["serving"] == self.processes

        await until(serving)

    probes = 0
    """Codes that aren't any, shown by `gate_at_each`."""

    async def gate_at_each(self, credential=None) -> dict[int, Gate]:
        """Give a kept connection to each process."""
        found: dict[int, Gate] = {}
        pids = self.pids
        assert len(pids) == self.processes
        for _ in range(400):
            gate = await Gate(self.node_url, credential or self.gate_credential).open()
            # A connection is somebody's once it is accepted, which an answer shows.
            await gate.show("KH1:BB8")
            self.probes += 1
            owner = owner_of(gate.client_port, gate.port, pids)
            if owner is None or owner in found:
                gate.close()
                continue
            found[owner] = gate
            if len(found) == self.processes:
                return found
        raise AssertionError(f"of {pids} only {sorted(found)} were met")

    async def fresh_step(self, margin_s: float = 3.0) -> int:
        """Wait for a step of which enough is left."""
        from edge.protocol.steps import STEP_S

        left = STEP_S - time.time() % STEP_S
        if left < margin_s:
            await asyncio.sleep(left + 0.02)
        return step_at(time.time())
