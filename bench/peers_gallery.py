"""One among many, peers side by side: the node's gallery, FAISS and usearch on the same rows.

- 512 dimensions, int8, drawn as `harness_gallery` draws them; every peer searches for the same
  probes in turn, on all cores. CPU time of all threads; the clock's median stands beside it.
- Exhaustive search is the question (a watch list must not miss); a graph (HNSW), which may miss, is
  shown with how often it finds the true best.
"""

import hashlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.gallery_512 import POPULATION
from bench.harness import Row
from bench.harness_gallery import CHUNK, Rows, faiss_index
from bench.harness_people import People
from edge.cache.gallery.gallery import Gallery

REFERENCES, SMALL_REFERENCES = 100_000, 10_000
PROBES, SMALL_PROBES = 100, 20
PACK = "peers"
Search = Callable[[Rows], int]
"""Gives the row that is most like a probe."""


def gallery(small: bool) -> list[Row]:
    """Search one gallery by all that are installed."""
    # Idle threads would otherwise go on spinning on the cores that the others are measured on.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    size = SMALL_REFERENCES if small else REFERENCES
    people = People(POPULATION, 1)
    rows = np.concatenate([people.rows(min(CHUNK, size - at)) for at in range(0, size, CHUNK)])
    chosen = np.random.default_rng(2).choice(size, SMALL_PROBES if small else PROBES, False)
    probes = people.probes(rows[chosen])
    question = "1:N, 512 dimensions"
    with tempfile.TemporaryDirectory(prefix="kanhe-peers-") as folder:
        ours = _ours(Path(folder), rows)
        peers: dict[str, Search] = {"ours, exact result": _search_ours(ours)}
        absent = [*_add_faiss(peers, rows), *_add_usearch(peers, rows)]
        found = _measure(question, peers, probes, _true_best(rows, probes), size)
        ours.close()
    return [*found, *(Row(question=question, peer=name, figure=0.0, unit="ms",
                          note="isn't installed: pip install 'kanhe[bench]'") for name in absent)]


def _ours(folder: Path, rows: Rows) -> Gallery:
    made = Gallery(folder / "gallery", PACK, POPULATION.dimensions, _derive)
    for number, row in enumerate(rows):
        made.put(number.to_bytes(16, "big"), PACK, row)
    made.settle(b"filled")
    return made


def _search_ours(made: Gallery) -> Search:
    return lambda probe: int.from_bytes(made.search(probe)[0][0][0], "big")


def _add_faiss(peers: dict[str, Search], rows: Rows) -> list[str]:
    try:
        import faiss
    except ModuleNotFoundError:
        return ["FAISS"]
    faiss.omp_set_num_threads(len(os.sched_getaffinity(0)))
    for kind in ("8bit", "direct_signed"):
        peers[f"FAISS IndexScalarQuantizer {kind}"] = _search_faiss(faiss_index(kind, rows))
    return []


def _search_faiss(search: Callable[[Rows], Any]) -> Search:
    return lambda probe: int(search(probe)[1][0][0])


def _add_usearch(peers: dict[str, Search], rows: Rows) -> list[str]:
    try:
        from usearch.index import Index
        from usearch.index import search as exact
    except ModuleNotFoundError:
        return ["usearch"]
    threads = len(os.sched_getaffinity(0))
    graph = Index(ndim=rows.shape[1], metric="cos", dtype="i8")
    graph.add(np.arange(len(rows)), rows, threads=threads)
    peers["usearch, exact"] = lambda probe: int(exact(
        rows, probe, 2, "cos", exact=True, threads=threads).keys[0])
    peers["usearch, HNSW graph"] = lambda probe: int(
        graph.search(probe, 2, threads=threads).keys[0])
    return []


def _measure(
    question: str, peers: dict[str, Search], probes: Rows, best: npt.NDArray[np.int64], size: int
) -> list[Row]:
    cpu: dict[str, list[float]] = {name: [] for name in peers}
    wall: dict[str, list[float]] = {name: [] for name in peers}
    same = dict.fromkeys(peers, 0)
    for search in peers.values():
        search(probes[0])  # compiled, mapped, threads begun
    for probe, true in zip(probes, best, strict=True):
        for name, search in peers.items():
            start, at = time.process_time(), time.perf_counter()
            found = search(probe)
            wall[name].append((time.perf_counter() - at) * 1e3)
            cpu[name].append((time.process_time() - start) * 1e3)
            same[name] += found == true
    return [
        Row(question=question, peer=name, figure=statistics.median(cpu[name]), unit="ms",
            read=f"{same[name]} of {len(probes)}",
            note=f"of {size:,}; by the clock {statistics.median(wall[name]):.2f} ms")
        for name in peers]


def _true_best(rows: Rows, probes: Rows) -> npt.NDArray[np.int64]:
    """Find the row of the highest cosine for each probe, by every cosine."""
    units = probes / np.linalg.norm(probes.astype(np.float32), axis=1, keepdims=True)
    score = np.full(len(probes), -2.0, np.float32)
    best = np.zeros(len(probes), np.int64)
    for at in range(0, len(rows), 4096):
        block = rows[at : at + 4096].astype(np.float32)
        block /= np.linalg.norm(block, axis=1, keepdims=True)
        cosines = block @ units.T
        top = cosines.argmax(axis=0)
        values = cosines[top, np.arange(len(probes))]
        better = values > score
        best[better], score[better] = top[better] + at, values[better]
    return best


def _derive(purpose: bytes) -> bytes:
    return hashlib.sha256(b"peers/" + purpose).digest()
