"""The gallery measures: one search over a city's references on all cores.

- Ours: `Gallery.search`, file-backed, two best by cosine. Theirs: FAISS, `IndexScalarQuantizer`
  with 8 bits, exhaustive, on the same int8 rows (`direct_signed`) or on their unit vectors
  (`8bit`), whichever is faster.
- The truth is every cosine, by BLAS; both int8 dots are exact in float32.
"""

import hashlib
import importlib.util
import itertools
import os
import resource
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.harness import Result
from bench.harness_credit import count_losses, find_truth
from bench.harness_people import People, Population
from edge.cache.gallery.gallery import Gallery
from edge.cache.gallery.query import SIGMAS

CITY, SMALL_CITY = 2_230_000, 60_000
PROBES, SMALL_PROBES = 10_000, 200
ROUNDS, SMALL_ROUNDS = 41, 5
AGREEMENT_MIN = 0.999
UPDATES, SMALL_UPDATES = 2_000, 200
UPDATE_MS_MAX = 1.0
CHUNK = 50_000
PACK = "bench"
Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int8]


def measure(name: str, population: Population, small: bool) -> Result:
    """Run one gallery measure."""
    if importlib.util.find_spec("faiss") is None:
        return Result(measure=name, ours=None, theirs=None, unit="ms", ratio=None, n=0, settings={},
                      against="FAISS IndexScalarQuantizer", valid=False,
                      why="faiss-cpu isn't installed: pip install 'kanhe[bench]'")
    # Its idle threads would otherwise go on spinning on the cores that ours is measured on.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import faiss

    faiss.omp_set_num_threads(len(os.sched_getaffinity(0)))
    size = SMALL_CITY if small else CITY
    people = People(population, 1)
    rows = np.concatenate([people.rows(min(CHUNK, size - at)) for at in range(0, size, CHUNK)])
    chosen = np.random.default_rng(2).choice(size, SMALL_PROBES if small else PROBES, False)
    probes = people.probes(rows[chosen])
    with tempfile.TemporaryDirectory() as folder:
        gallery = Gallery(Path(folder) / "gallery", PACK, population.dimensions, _derive)
        for slot in range(size):
            gallery.put(_id(slot), PACK, rows[slot])
        gallery.settle(b"filled")
        settings: dict[str, Any] = {
            "references": size, **population._asdict(), "sigmas": SIGMAS}
        _recode(gallery, probes, settings)
        ours_s, theirs_s = _against(
            gallery, rows, probes, SMALL_ROUNDS if small else ROUNDS, settings)
        agreement = _agreement(gallery, rows, probes, chosen, settings)
        slowest_ms = _updates(gallery, people, UPDATES if not small else SMALL_UPDATES, settings)
        gallery.close()
    why = [words for held, words in (
        (agreement >= AGREEMENT_MIN, f"same top-1 for {agreement:.4f} of the probes"),
        (slowest_ms < UPDATE_MS_MAX, f"99 % of updates took up to {slowest_ms:.2f} ms"),
    ) if not held]
    settings["peak_rss_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return Result(
        measure=name, ours=round(ours_s * 1e3, 2), theirs=round(theirs_s * 1e3, 2), unit="ms",
        ratio=round(ours_s / theirs_s, 3), n=size,
        against=f"FAISS IndexScalarQuantizer {settings['faiss']}, exhaustive, same rows and cores",
        settings=settings, valid=not why, why="; ".join(why),
    )


def _against(
    gallery: Gallery, rows: Rows, probes: Rows, rounds: int, settings: dict[str, Any]
) -> tuple[float, float]:
    """Time single searches in turn with each kind of theirs; keep their fastest."""
    found: dict[str, tuple[float, float]] = {}
    for kind in ("8bit", "direct_signed"):
        search = faiss_index(kind, rows)
        ours, theirs = _Searching(gallery.search, probes), _Searching(search, probes)
        found[kind] = _in_turn(ours, theirs, rounds)
        settings[f"ratio_{kind}"] = round(found[kind][0] / found[kind][1], 3)
        settings[f"cpu_ms_{kind}"] = [
            round(side.cpu_s / side.calls * 1e3, 2) for side in (ours, theirs)]
        del search, theirs
    settings["faiss"] = min(found, key=lambda kind: found[kind][1])
    whole_s = _read_s(rows, rounds)
    settings["read_rows_once_ms"] = round(whole_s * 1e3, 2)
    settings["read_gb_per_s"] = round(rows.nbytes / whole_s / 1e9, 1)
    settings["code_bytes_a_search"] = len(rows) * (rows.shape[1] // 8 + 8)
    return found[settings["faiss"]]


def _in_turn(ours: "_Searching", theirs: "_Searching", rounds: int) -> tuple[float, float]:
    """Give the median seconds of a search, by the clock on the wall: ours works on all cores."""
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(rounds + 1):
        for side, work in list(enumerate((ours, theirs)))[:: -1 if turn % 2 else 1]:
            start = time.perf_counter()
            work()
            if turn:  # the first warms up
                times[side].append(time.perf_counter() - start)
    return statistics.median(times[0]), statistics.median(times[1])


class _Searching:
    """Searches for one probe after another, counting the CPU time of all threads."""

    def __init__(self, search: Callable[[Rows], object], probes: Rows) -> None:
        self._search, self._probes = search, itertools.cycle(probes)
        self.cpu_s, self.calls = 0.0, 0

    def __call__(self) -> None:
        before = time.process_time()
        self._search(next(self._probes))
        self.cpu_s += time.process_time() - before
        self.calls += 1


def faiss_index(kind: str, rows: Rows) -> Callable[[Rows], Any]:
    """Build FAISS' exhaustive index of 8 bits; give its search for one probe."""
    import faiss

    code = {"8bit": faiss.ScalarQuantizer.QT_8bit,
            "direct_signed": faiss.ScalarQuantizer.QT_8bit_direct_signed}[kind]
    index = faiss.IndexScalarQuantizer(rows.shape[1], code, faiss.METRIC_INNER_PRODUCT)
    for at in range(0, len(rows), CHUNK):
        part = rows[at : at + CHUNK].astype(np.float32)
        if kind == "8bit":
            part /= np.linalg.norm(part, axis=1, keepdims=True)
        if at == 0:
            index.train(part)
        index.add(part)
    return lambda probe: index.search(probe[None].astype(np.float32), 2)


def _read_s(rows: Rows, rounds: int) -> float:
    """Time reading every byte once, on all cores."""
    cores = len(os.sched_getaffinity(0))
    parts = np.array_split(rows.reshape(-1).view(np.uint64), cores)
    times = []
    with ThreadPoolExecutor(cores) as pool:
        for _ in range(rounds):
            start = time.perf_counter()
            list(pool.map(np.bitwise_or.reduce, parts))
            times.append(time.perf_counter() - start)
    return statistics.median(times)


def _agreement(
    gallery: Gallery, rows: Rows, probes: Rows, chosen: npt.NDArray[np.int64],
    settings: dict[str, Any],
) -> float:
    """Compare the best of every probe with the true one; give the share that is the same."""
    truth = find_truth(rows, probes)
    settings |= count_losses(rows, probes, truth)
    same = genuine = 0
    took = []
    for probe, person, true in zip(probes, chosen, truth.best, strict=True):
        start = time.perf_counter()
        found, _ = gallery.search(probe)
        took.append(time.perf_counter() - start)
        same += abs(found[0][1] - float(true)) < 2e-6
        genuine += found[0][0] == _id(int(person))
    settings["probes"] = len(probes)
    settings["same_top1"] = same / len(probes)
    settings["rank1_genuine"] = round(genuine / len(probes), 4)
    settings["search_ms_p50_p99"] = [round(float(np.quantile(took, q)) * 1e3, 2)
                                     for q in (0.5, 0.99)]
    return same / len(probes)


def _updates(gallery: Gallery, people: People, count: int, settings: dict[str, Any]) -> float:
    """Insert into fresh slots and delete again, each seen by the next search; give p99 in ms.

    The clock on the wall counts what the machine gave to others meanwhile, CPU time what the
    change itself took.
    """
    rows = people.rows(count)
    ids = [_id((1 << 40) + number) for number in range(count)]
    puts, drops = [], []
    for number, row in enumerate(rows):
        puts.append(_timed(partial(gallery.put, ids[number], PACK, row)))
        if number % 50 == 0 and gallery.search(row)[0][0][0] != ids[number]:
            raise AssertionError("an inserted reference isn't found by the next search")
    for number, row in enumerate(rows):
        drops.append(_timed(partial(gallery.drop, ids[number], PACK)))
        if number % 50 == 0 and gallery.search(row)[0][0][0] == ids[number]:
            raise AssertionError("a deleted reference is found by the next search")
    for name, times in (("insert", puts), ("delete", drops)):
        for place, clock in enumerate(("us", "cpu_us")):
            settings[f"{name}_{clock}_p50_p99_max"] = [
                round(float(np.quantile([pair[place] for pair in times], q)) * 1e6, 1)
                for q in (0.5, 0.99, 1.0)]
    return float(np.quantile([pair[0] for pair in puts + drops], 0.99)) * 1e3


def _timed(work: Callable[[], None]) -> tuple[float, float]:
    """Give the seconds and the thread's CPU seconds of a call."""
    start, cpu = time.perf_counter(), time.thread_time()
    work()
    return time.perf_counter() - start, time.thread_time() - cpu


def _recode(gallery: Gallery, probes: Rows, settings: dict[str, Any]) -> None:
    """Make new codes while searches go on, and note how long these took."""
    took: list[float] = []
    coding = threading.Thread(target=gallery.recode)
    start = time.perf_counter()
    coding.start()
    for probe in itertools.cycle(probes):
        before = time.perf_counter()
        gallery.search(probe)
        took.append(time.perf_counter() - before)
        if not coding.is_alive():
            break
    coding.join()
    settings["recode_s"] = round(time.perf_counter() - start, 2)
    settings["search_ms_p50_max_while_recoding"] = [
        round(float(np.quantile(took, q)) * 1e3, 2) for q in (0.5, 1.0)]


def _id(number: int) -> bytes:
    return number.to_bytes(16, "big")


def _derive(purpose: bytes) -> bytes:
    return hashlib.sha256(b"bench/" + purpose).digest()
