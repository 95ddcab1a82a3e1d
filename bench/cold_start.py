"""`cold-start`: from the start of the process until the node is ready, caches warm on disk.

- A node that ran before: enrolled, pack made, kernels compiled, trust held. Ready is the line that
  it prints once it answers; the first verification is answered without anything left to load.
"""

import statistics
import time

from bench.harness import Result
from bench.harness_node import cpu_s, with_city
from kanhe.demo.city import City

NAME = "cold-start"
AGAINST = "absolute: at most 2.5 s"
ROUNDS, SMALL_ROUNDS = 7, 2


def run(small: bool) -> Result:
    """Start a node again and again."""
    return with_city(lambda city: _run(city, SMALL_ROUNDS if small else ROUNDS))


def _run(city: City, rounds: int) -> Result:
    times, cpu = [], []
    for _ in range(rounds):
        assert city.node is not None
        city.node.stop()
        start = time.perf_counter()
        city.run_node()
        times.append(time.perf_counter() - start)
        cpu.append(cpu_s(city.node.pid))
    middle = statistics.median(times)
    return Result(
        measure=NAME, ours=round(middle, 2), theirs=None, unit="s", ratio=None, against=AGAINST,
        n=rounds, settings={"fastest": round(min(times), 2), "slowest": round(max(times), 2),
                            "cpu_s": round(statistics.median(cpu), 2), "pack": "dlib-v1"},
    )
