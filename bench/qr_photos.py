"""`qr-photos`: how many real photographs the ladder reads.

- Ours: the frame reader with all rungs. Theirs: zxing-cpp alone, default options,
  full resolution.
- A read is false if it differs from the known truth, or is made on a negative; one
  false read makes the measure invalid.
- The photographs stand beside the project (`../shared/data/qr-photos`, or the folder that
  `KANHE_DATA` names).
"""

import csv
import json
import os
import time
from collections import Counter
from pathlib import Path

import numpy as np
import zxingcpp

from bench.harness import Result
from edge.capture.reader import FrameReader
from edge.capture.zbar_child import ZbarChild
from edge.imaging import decode_grey

NAME = "qr-photos"
AGAINST = "pictures that zxing-cpp alone reads, default options, full resolution"
BUDGET_S = 1.0
SMALL_EVERY = 8


def photographs() -> Path:
    """Say where the photographs are, there or not."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("KANHE_DATA", beside)) / "qr-photos"


def run(small: bool) -> Result:
    """Read every picture by both; small takes every eighth."""
    folder = photographs()
    if not (folder / "manifest.csv").is_file():
        return Result(
            measure=NAME, ours=None, theirs=None, unit="count", ratio=None, against=AGAINST, n=0,
            settings={}, valid=False, why="the photographs aren't beside the project",
        )
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    zbar = ZbarChild()
    zbar.warm()
    reader = FrameReader(zbar, budget_s=BUDGET_S)
    ours = theirs = 0
    false: list[str] = []
    times: list[float] = []
    rungs: Counter[str] = Counter()
    for row in rows[:: SMALL_EVERY if small else 1]:
        data = (folder / row["file"]).read_bytes()
        theirs += bool(zxingcpp.read_barcodes(decode_grey(data))) and row["kind"] == "positive"
        start = time.perf_counter()
        reading = reader.read(data)
        times.append((time.perf_counter() - start) * 1e3)
        if not reading.found:
            continue
        if is_false(row, reading.texts, reading.binaries):
            false.append(row["file"])
            continue
        ours += 1
        rungs[reading.rung] += 1
    zbar.close()
    return Result(
        measure=NAME, ours=ours, theirs=theirs, unit="count",
        ratio=round(ours / theirs, 3) if theirs else None, against=AGAINST, n=len(times),
        settings={
            "median_ms": round(float(np.median(times)), 2),
            "p99_ms": round(float(np.percentile(times, 99)), 1),
            "rungs": dict(rungs), "zbar": zbar.available, "false_reads": false,
        },
        valid=not false, why="false reads" if false else "",
    )


def is_false(row: dict[str, str], texts: tuple[str, ...], binaries: tuple[bytes, ...]) -> bool:
    """Hold a reading against the truth, where there is one.

    A picture may hold more codes than its truth names; none of the named ones is false.
    """
    if row["kind"] == "negative":
        return True
    expected, encoding = row["expected"], row["enc"]
    if encoding == "hex":
        return bytes.fromhex(expected) not in binaries
    if encoding not in ("text", "json-list"):
        return False
    truth = {plain(text) for text in (json.loads(expected) if encoding != "text" else [expected])}
    read = {plain(text) for text in texts}
    # One truth was taken from a decoder that mistook UTF-8 for Shift_JIS.
    mistaken = {text.encode().decode("cp932", "replace") for text in read}
    return not (read | mistaken) & truth


def plain(text: str) -> str:
    """Fold line ends, about which public decoders differ."""
    return text.replace("\r\n", "\n").replace("\\'", "'").strip()
