"""`bootstrap`: seconds from an empty node to a city taken in from a snapshot, and what that costs.

- The platform, the node and the process that builds are three processes on this machine; the node
  answers a code-only verification every 20 ms meanwhile, and their 99th percentile is said.
- Absolute, so the size stands in the settings; `KANHE_BENCH_HOLDERS` sets another one, up to the
  whole city's 2,230,000. The city is made beforehand and kept.
- Not counted: making the snapshot.
"""

import asyncio
import base64
import os
import resource
import shutil
import tempfile
import time
from pathlib import Path

import aiohttp
import uvloop
from aiohttp import web

from bench.harness import Result
from bench.harness_city import FOLDER, Serving, child_pids, enrolled, rss_anon_bytes, serving
from bench.harness_http import (
    GATE_SECRET,
    SCENE,
    credential_id,
    epoch_keys,
    fill,
    node_surface,
)
from edge.cache.store import LmdbStore
from edge.hotpath.keys import DerivedKeys
from edge.hotpath.wallet import WalletKeys, derive_wallet_keys, make_presentation
from edge.node_key import load_or_create_node_key
from edge.protocol.kh1 import SUITE_COMPACT, key_epoch_of, step_at
from edge.sync.ports import BuildOrder

NAME = "bootstrap"
HOLDERS, SMALL_HOLDERS = 100_000, 2_000
CREDENTIALS = 2_000
ASK_EVERY_S = 0.02
WARM_S = 3.0
LOOK_EVERY_S = 0.05


def run(small: bool) -> Result:
    """Take one snapshot in."""
    holders = SMALL_HOLDERS if small else int(os.environ.get("KANHE_BENCH_HOLDERS", HOLDERS))
    FOLDER.mkdir(parents=True, exist_ok=True)
    with serving(holders) as central, tempfile.TemporaryDirectory(dir=FOLDER) as name:
        folder = Path(name)
        fill(folder, CREDENTIALS)
        return uvloop.run(_measure(central, folder, holders))


class _Gate:
    """Shows genuine codes at a fixed pace and keeps how long the answers took."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.taken_s: list[float] = []
        self.wrong = 0
        self._number = 0

    async def ask(self) -> None:
        """Go on until cancelled; late answers count from when they were due."""
        credential = "bench." + base64.urlsafe_b64encode(GATE_SECRET).decode().rstrip("=")
        today = DerivedKeys(epoch_keys(key_epoch_of(step_at(time.time()))))
        keys: list[WalletKeys] = [
            derive_wallet_keys(today, SUITE_COMPACT, credential_id(n)) for n in range(CREDENTIALS)]
        due = time.perf_counter()
        async with aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {credential}"}) as session:
            while True:
                due += ASK_EVERY_S
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                self._number += 1
                code = make_presentation(
                    keys[self._number % CREDENTIALS], step_at(time.time()))
                body = {"scene": SCENE, "request_id": str(self._number), "presentation": code}
                async with session.post(f"{self._url}/v1/verifications", json=body) as answer:
                    said = await answer.json()
                self.taken_s.append(time.perf_counter() - due)
                self.wrong += said.get("decision") != "accept"


async def _measure(central: Serving, folder: Path, holders: int) -> Result:
    key = load_or_create_node_key(folder / "node.key")
    store = LmdbStore(folder / "cache", key.derive)
    believer, client, builder = await enrolled(central, folder, key, store)
    runner = web.AppRunner(node_surface(folder, store=store)[0], access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    gate = _Gate(f"http://127.0.0.1:{runner.addresses[0][1]}")
    asking = asyncio.create_task(gate.ask())
    await asyncio.sleep(WARM_S)
    idle, gate.taken_s = gate.taken_s, []
    memory = asyncio.create_task(_watch())
    used = _children_cpu_s()
    start = time.perf_counter()
    built = await builder.build(
        BuildOrder(base=believer.base, feed_keys=believer.feed_keys))
    asking.cancel()
    peak = (await _ended(memory)) or 0
    adopting = time.perf_counter()
    await believer.adopt(built)
    end = time.perf_counter()
    held = store.counts()
    store_bytes = sum(p.stat().st_blocks * 512 for p in (folder / "cache").iterdir())
    await runner.cleanup()
    await client.close()
    store.close()
    shutil.rmtree(folder / "bootstrap", ignore_errors=True)
    complete = held["credentials"] == 3 * holders and held["references"] == holders
    return Result(
        measure=NAME, ours=round(end - start, 2), theirs=None, unit="s", ratio=None, against="",
        n=built.records, valid=complete and not gate.wrong,
        why="" if complete and not gate.wrong else f"{held} held, {gate.wrong} wrong answers",
        settings={
            "holders": holders, "credentials": 3 * holders, "cores": os.cpu_count(),
            "builder_cpu_s": round(_children_cpu_s() - used, 2),
            "adopting_s": round(end - adopting, 3), "snapshot_mib": _mib(central.snapshot_bytes),
            "store_mib": _mib(store_bytes), "rss_anon_mib": _mib(peak),
            "node_rss_anon_mib": _mib(rss_anon_bytes(os.getpid())),
            "verdict_p99_ms": _p99_ms(gate.taken_s), "idle_p99_ms": _p99_ms(idle),
            "verdicts": len(gate.taken_s)},
    )


async def _watch() -> int:
    """Give the largest anonymous memory that any child was seen with, when cancelled."""
    peak = 0
    try:
        while True:
            peak = max([peak, *(rss_anon_bytes(pid) for pid in child_pids("edge.bootstrap"))])
            await asyncio.sleep(LOOK_EVERY_S)
    except asyncio.CancelledError:
        return peak


async def _ended(task: "asyncio.Task[int]") -> int:
    task.cancel()
    return await task


def _children_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _p99_ms(taken_s: list[float]) -> float:
    ordered = sorted(taken_s)
    return round(ordered[int(len(ordered) * 0.99)] * 1e3, 2) if ordered else 0.0


def _mib(count: int) -> int:
    return round(count / 2**20)
