"""How a benchmark compares: interleaved rounds of one run, medians, a ratio.

- A measure is a module of `bench` with `NAME` and `run(small: bool) -> Result`.
- Ours and theirs run in turn in the same process, so that drift of the machine
  meets both.
- CPU time, not the clock on the wall, since a benchmark is seldom alone on its machine; what waits
  for a disk or a peer times itself.
- What it doesn't do: judge. That is `bench.harness_baseline`.
"""

import gc
import statistics
import time
from collections.abc import Callable
from typing import Any

import msgspec


class Result(msgspec.Struct, kw_only=True):
    """One line of output, as the interface fixes it."""

    measure: str
    ours: float | None
    theirs: float | None
    unit: str
    ratio: float | None
    against: str
    n: int
    settings: dict[str, Any]
    valid: bool = True
    why: str = ""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One line: what was asked, who did it, how well (a count or a rate) and in which time."""

    question: str
    peer: str
    figure: float
    unit: str
    read: str = ""
    note: str = ""


def interleave(
    ours: Callable[[], object], theirs: Callable[[], object], rounds: int, per_round: int = 1
) -> tuple[float, float]:
    """Take the CPU time of two callables in turn, all threads of the process together.

    Args:
        ours: Does `per_round` operations a call.
        theirs: The same number of its own.
        rounds: How many interleaved rounds; the first pair is a warm-up.
        per_round: Operations in one call, to divide by.

    Returns:
        Median CPU seconds an operation of ours and of theirs.
    """
    ours()
    theirs()
    times: tuple[list[float], list[float]] = ([], [])
    gc.collect()
    gc.disable()
    try:
        for turn in range(rounds):
            pair = ((0, ours), (1, theirs)) if turn % 2 == 0 else ((1, theirs), (0, ours))
            for side, work in pair:
                start = time.process_time()
                work()
                times[side].append((time.process_time() - start) / per_round)
    finally:
        gc.enable()
    return statistics.median(times[0]), statistics.median(times[1])
