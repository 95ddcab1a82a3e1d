"""`http-code-only-p99`: latency at half of the node's capacity, constant open-loop arrivals.

- Ours: the node's whole surface, fresh genuine codes. Theirs: a bare aiohttp handler that reads,
  decodes and answers JSON of the same sizes once a record of the same size is durable (group
  commit, fdatasync), at the same rate.
- Latency counts from when a request was due; the client spins on the other core.
"""

import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from bench.harness import Result
from bench.harness_calls import codes_of, request_of, served
from bench.harness_http import fill
from bench.harness_open import offer, percentile
from bench.http_code_only import one_round
from edge.protocol.kh1 import step_at

NAME = "http-code-only-p99"
AGAINST = "a bare aiohttp handler with a group commit of a record of the same size, same arrivals"
CREDENTIALS, SMALL_CREDENTIALS = 60_000, 4_000
ROUNDS, SMALL_ROUNDS = 3, 1
SECONDS, SMALL_SECONDS = 4.0, 1.0
CAPACITY_SECONDS = 2
CONNECTIONS = 128
SHARE = 0.5
LAG_S_MAX = 0.002
"""The 99th percentile of how late the client sends; with more it measures itself."""


class _Round(NamedTuple):
    p50_s: float
    p99_s: float
    lag_s: float
    wrong: int


def run(small: bool) -> Result:
    """Measure in interleaved rounds."""
    cores = sorted(os.sched_getaffinity(0))
    if shutil.which("wrk") is None or len(cores) < 2:
        why = "wrk isn't installed" if shutil.which("wrk") is None else "two cores are needed"
        return Result(measure=NAME, ours=None, theirs=None, unit="ms", ratio=None,
                      against=AGAINST, n=0, settings={}, valid=False, why=why)
    count = SMALL_CREDENTIALS if small else CREDENTIALS
    rounds = SMALL_ROUNDS if small else ROUNDS
    seconds = SMALL_SECONDS if small else SECONDS
    with tempfile.TemporaryDirectory(prefix="kanhe-bench-") as name:
        folder, elsewhere = Path(name) / "node", Path(name) / "capacity"
        for one in (folder, elsewhere):
            one.mkdir()
            fill(one, count)
        # On a folder of its own: what is shown to find the capacity is spent.
        capacity = one_round("ours", elsewhere, count, CAPACITY_SECONDS, 0, cores).rate
        calls = min(int(capacity * SHARE * seconds), count // rounds)
        found: dict[str, list[_Round]] = {"ours": [], "durable": []}
        for turn in range(rounds):
            for side, all_ in found.items():
                all_.append(_round(side, folder, range(turn * calls, (turn + 1) * calls),
                                   capacity * SHARE, cores))
    ours, theirs = (statistics.median(one.p99_s for one in all_) * 1e3
                    for all_ in found.values())
    lag = max(one.lag_s for all_ in found.values() for one in all_)
    wrong = sum(one.wrong for all_ in found.values() for one in all_)
    valid = wrong == 0 and (small or lag <= LAG_S_MAX)
    return Result(
        measure=NAME, ours=round(ours, 2), theirs=round(theirs, 2), unit="ms",
        ratio=round(ours / theirs, 2), against=AGAINST, n=rounds * calls,
        settings={"rate": round(capacity * SHARE), "seconds": seconds, "wrong_answers": wrong,
                  "p50_ms": {side: round(statistics.median(one.p50_s for one in all_) * 1e3, 2)
                             for side, all_ in found.items()},
                  "client_lag_p99_ms": round(lag * 1e3, 2)},
        valid=valid,
        why="" if valid else f"{wrong} wrong answers, client late by {lag * 1e3:.1f} ms (p99)",
    )


def _round(
    side: str, folder: Path, numbers: range, rate: float, cores: list[int]
) -> _Round:
    expected = b'"decision":"accept"' if side == "ours" else b'"filler"'
    with served(side, folder, cores[0]) as (port, _):
        step = step_at(time.time()) + 1
        requests = [request_of(code) for code in codes_of(numbers, step)]
        # The first calls open connections and warm both sides; they aren't counted.
        first = len(requests) // 10
        replies = [one for one in offer(port, rate, requests, cores[1], CONNECTIONS)
                   if one.number >= first]
    latencies = [one.latency_s for one in replies]
    return _Round(
        percentile(latencies, 0.5), percentile(latencies, 0.99),
        percentile([one.sent_s for one in replies], 0.99),
        len(numbers) - first - sum(expected in one.body for one in replies),
    )
