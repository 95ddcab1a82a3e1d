"""`workers-cpu`: CPU time of a code-only verification over HTTP, two processes against one.

- The CPU of all processes of the node together, by the number of verifications; the same surface,
  load and number of connections, in turn.
- The processes may use both cores, and so may wrk: what is measured is CPU, not a rate.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.harness import Result
from bench.harness_http import fill
from bench.http_code_only import CONNECTIONS, Round, loaded

NAME = "workers-cpu"
AGAINST = "the same node as one process"
CREDENTIALS, SMALL_CREDENTIALS = 20_000, 3_000
ROUNDS, SMALL_ROUNDS = 5, 1
SECONDS, SMALL_SECONDS = 4, 1
STOP_S = 20.0


def run(small: bool) -> Result:
    """Measure in interleaved rounds."""
    if shutil.which("wrk") is None:
        return Result(measure=NAME, ours=None, theirs=None, unit="us", ratio=None,
                      against=AGAINST, n=0, settings={}, valid=False, why="wrk isn't installed")
    count = SMALL_CREDENTIALS if small else CREDENTIALS
    rounds: dict[int, list[Round]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory(prefix="kanhe-bench-") as name:
        folder = Path(name)
        fill(folder, count)
        for turn in range(SMALL_ROUNDS if small else ROUNDS):
            for processes, taken in rounds.items():
                with crew(folder, processes) as (port, pids):
                    taken.append(loaded(
                        port, pids, folder, count, SMALL_SECONDS if small else SECONDS,
                        f"p{processes}-{turn}", '"decision":"accept"',
                        sorted(os.sched_getaffinity(0))))
    two, one = (statistics.median(item.cpu_us for item in rounds[processes])
                for processes in (2, 1))
    wrong = sum(item.wrong for taken in rounds.values() for item in taken)
    return Result(
        measure=NAME, ours=round(two, 1), theirs=round(one, 1), unit="us",
        ratio=round(two / one, 3), against=AGAINST, n=len(rounds[2]),
        settings={
            "credentials": count, "connections": CONNECTIONS, "wrong_answers": wrong,
            "rates": {str(processes): round(statistics.median(item.rate for item in taken))
                      for processes, taken in rounds.items()},
        },
        valid=wrong == 0, why="" if wrong == 0 else f"{wrong} wrong answers",
    )


@contextmanager
def crew(folder: Path, processes: int) -> Iterator[tuple[int, list[int]]]:
    """Serve as so many processes; gives the port and all process ids."""
    server = subprocess.Popen(
        [sys.executable, "-m", "bench.harness_crew", str(folder), str(processes)],
        stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        yield port, [server.pid, *children(server.pid)]
    finally:
        server.terminate()
        server.wait(STOP_S)


def children(pid: int) -> list[int]:
    """Give the processes that a process started."""
    return [int(child) for task in Path(f"/proc/{pid}/task").iterdir()
            for child in (task / "children").read_text().split()]
