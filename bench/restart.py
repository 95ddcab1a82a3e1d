"""`restart`: from the start of the process until a node that holds a city is ready.

- The store is taken in from a snapshot beforehand and kept, since that takes longer than this.
- Ready is the line that the node prints once it answers.
- Absolute, so the size stands in the settings; `KANHE_BENCH_HOLDERS` sets another one, up to the
  whole city's 2,230,000. The file's pages are warm, as after a restart of the process alone.
"""

import os
import shutil
import statistics
import time
from pathlib import Path

import uvloop

from bench.harness import Result
from bench.harness_city import FOLDER, Serving, enrolled, rss_anon_bytes, serving
from bench.harness_node import PACKS, cpu_s
from edge.cache.store import LmdbStore
from edge.node_key import load_or_create_node_key
from edge.sync.ports import BuildOrder
from kanhe.demo.processes import Service

NAME = "restart"
AGAINST = "absolute: under 3 s at 2,230,000 holders"
HOLDERS, SMALL_HOLDERS = 100_000, 2_000
ROUNDS, SMALL_ROUNDS = 7, 2


def run(small: bool) -> Result:
    """Start a node again and again."""
    holders = SMALL_HOLDERS if small else int(os.environ.get("KANHE_BENCH_HOLDERS", HOLDERS))
    with serving(holders) as central:
        # Beside the city that it is enrolled in: both are made and removed together.
        folder = FOLDER.absolute() / f"city-{holders}" / "node"
        if not (folder / "made").exists():
            shutil.rmtree(folder, ignore_errors=True)
            uvloop.run(_fill(central, folder / "edge"))
            (folder / "made").touch()
        return _measure(central, folder, holders, SMALL_ROUNDS if small else ROUNDS)


async def _fill(central: Serving, folder: Path) -> None:
    key = load_or_create_node_key(folder / "node.key")
    store = LmdbStore(folder / "cache", key.derive)
    believer, client, builder = await enrolled(central, folder, key, store)
    await believer.adopt(await builder.build(
        BuildOrder(base=believer.base, feed_keys=believer.feed_keys)))
    await client.close()
    store.close()


def _measure(central: Serving, folder: Path, holders: int, rounds: int) -> Result:
    config = folder / "edge.toml"
    config.write_text(
        f'data_dir = "{folder / "edge"}"\npacks_dir = "{PACKS.absolute()}"\n'
        f'[listen]\nport_tries = 100\n[central]\nurl = "{central.url}"\n')
    _start(config, folder).stop()  # makes the pack and compiles, where nobody did
    times, cpu, memory = [], [], []
    for _ in range(rounds):
        start = time.perf_counter()
        node = _start(config, folder)
        times.append(time.perf_counter() - start)
        cpu.append(cpu_s(node.pid))
        memory.append(rss_anon_bytes(node.pid))
        node.stop()
    store = LmdbStore(
        folder / "edge" / "cache", load_or_create_node_key(folder / "edge" / "node.key").derive)
    held, store_bytes = store.counts(), store.bytes_used
    store.close()
    complete = held["credentials"] == 3 * holders and held["references"] == holders
    return Result(
        measure=NAME, ours=round(statistics.median(times), 2), theirs=None, unit="s", ratio=None,
        against=AGAINST, n=rounds, valid=complete, why="" if complete else f"{held} held",
        settings={"holders": holders, "credentials": 3 * holders, "cores": os.cpu_count(),
                  "fastest": round(min(times), 2), "slowest": round(max(times), 2),
                  "cpu_s": round(statistics.median(cpu), 2), "store_mib": store_bytes >> 20,
                  "rss_anon_mib": max(memory) >> 20, "pack": "dlib-v1"},
    )


def _start(config: Path, folder: Path) -> Service:
    node = Service("node", ["edge", "run", "--config", str(config)], folder / "node.log")
    try:
        node.wait_ready()
    except BaseException:
        node.stop()
        raise
    return node
