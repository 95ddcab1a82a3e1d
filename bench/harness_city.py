"""A platform that holds a made-up city, for the measures that need one.

- `python -m bench.harness_city FOLDER HOLDERS` makes up the city and its snapshot if they aren't
  there, prints one line of JSON (port, one-time code) and serves on loopback until ended.
- The city is kept in `var/bench`, since making it takes longer than most measures.
"""

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import msgspec
import uvloop
from aiohttp import web

from central import nodes
from central.app import application
from central.config import CentralConfig
from central.platform import Platform
from edge.bootstrap import SnapshotBuilder
from edge.cache.store import LmdbStore
from edge.node_key import NodeKey
from edge.sync.believer import Believer
from edge.sync.client import CentralClient
from edge.sync.enrol import enrol
from edge.sync.worker import Worker
from kanhe.made_up_city import generate_city
from kanhe.progress import show_progress

FOLDER = Path("var/bench")
CODE_LIFE_S = 3_600


class NoFace:
    """Enrols nobody."""

    pack_id = "dlib-v1"

    def make_reference_template(self, image: bytes) -> NoReturn:
        """Refuse."""
        raise NotImplementedError("nobody is enrolled in a measure")


class Serving(msgspec.Struct, frozen=True):
    """Where the platform is, and codes to enrol nodes with."""

    url: str
    codes: tuple[str, ...]
    snapshot_bytes: int
    pid: int = 0


@contextlib.contextmanager
def serving(holders: int, codes: int = 1) -> Iterator[Serving]:
    """Serve a city of so many holders while the block runs."""
    folder = FOLDER / f"city-{holders}"
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.harness_city", str(folder), str(holders), str(codes)],
        stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        said = msgspec.json.decode(process.stdout.readline(), type=Serving)
        yield msgspec.structs.replace(said, pid=process.pid)
    finally:
        process.terminate()
        process.wait()


def rss_anon_bytes(pid: int) -> int:
    """Give a process's anonymous memory, 0 when it has ended."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    return 0


def child_pids(module: str) -> list[int]:
    """List this process's children that run a module."""
    found = []
    for path in Path(f"/proc/{os.getpid()}/task").glob("*/children"):
        for pid in path.read_text().split():
            with contextlib.suppress(OSError):
                if module.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(int(pid))
    return found


async def enrolled(
    central: Serving, folder: Path, key: NodeKey, store: LmdbStore
) -> tuple[Believer, CentralClient, SnapshotBuilder]:
    """Enrol a node there; give its belief, with keys, and what takes the snapshot in."""
    asking = CentralClient(central.url)
    enrolment = await enrol(asking, store, code=central.codes[0], name="bench",
                            sign_public=key.sign_public, seal_public=key.seal_public)
    await asking.close()
    client = CentralClient(central.url, token=enrolment.token)
    believer = Believer(
        store=store, seal_private=key.sealing, publish=lambda _: None, now=time.time,
        worker=Worker("bench"), epochs_back=1)
    await believer.load()
    await believer.keys(await client.keys())
    return believer, client, SnapshotBuilder(
        url=central.url, token=lambda: enrolment.token, authority=None, key=key, store=store,
        folder=folder / "bootstrap")


async def _serve(folder: Path, holders: int, codes: int) -> None:
    if not (folder / "made").exists():
        await generate_city(folder, holders, show_progress)
        (folder / "made").touch()
    face: Any = NoFace()
    platform = Platform(CentralConfig(data_dir=folder), face)
    await platform.start()
    if platform.snapshots.newest is None:
        await platform.snapshots.make()
    newest = platform.snapshots.newest
    assert newest is not None
    made = [await platform.database.run(
        lambda tx: nodes.node_code(tx, platform.root, CODE_LIFE_S)) for _ in range(codes)]
    runner = web.AppRunner(application(platform), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1_024).start()
    line = Serving(f"http://127.0.0.1:{runner.addresses[0][1]}", tuple(made),
                   sum(part.length for part in newest.parts))
    print(msgspec.json.encode(line).decode(), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_serve(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
