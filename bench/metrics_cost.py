"""`metrics-cost`: what counting a verification costs, as a share of the verification.

- Ours: `NodeMetrics.observed`, CPU time a call. Theirs: CPU time that the whole node's process
  spends on a code-only verification over HTTP, metrics included, 32 connections at once.
- The ratio is the share; it is to stay under 0.03.
"""

import time

from bench.harness import Result
from bench.harness_sample import record
from bench.http_cpu import CALLS, CONNECTIONS, SMALL_CALLS, node_cpu
from edge.metrics import NodeMetrics

NAME = "metrics-cost"
RECORDS, ROUNDS = 2_000, 7
_STAGES_MS = {"authenticate": 0.02, "cache": 0.01, "journal": 0.4}


def run(small: bool) -> Result:
    """Measure both in turn."""
    calls = SMALL_CALLS if small else CALLS
    before = _observed_s()
    theirs, accepted = node_cpu(calls)
    ours = min(before, _observed_s())
    return Result(
        measure=NAME, ours=round(ours * 1e6, 3), theirs=round(theirs * 1e6, 2), unit="us",
        ratio=round(ours / theirs, 4),
        against="CPU time of the node's process for a code-only verification over HTTP", n=calls,
        settings={"connections": CONNECTIONS, "accepted": accepted},
        valid=accepted == calls, why="" if accepted == calls else f"{accepted} of {calls} accepted",
    )


def _observed_s() -> float:
    metrics, records = NodeMetrics("bench"), [record(number) for number in range(RECORDS)]
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.thread_time()
        for item in records:
            metrics.observed(item, _STAGES_MS)
        best = min(best, (time.thread_time() - start) / len(records))
    return best
