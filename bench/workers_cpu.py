"""`workers-cpu`: CPU time of a code-only verification over HTTP, two processes against one.

- The CPU of all processes of the node together, by the number of verifications. Both nodes are up;
  they are loaded in turn, a second each, with the same codes.
- The processes may use all cores, and so may wrk: what is measured is CPU, not a rate.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from bench.harness import Result
from bench.harness_calls import codes_of
from bench.harness_http import fill
from bench.http_code_only import CONNECTIONS, Round, loaded
from edge.protocol.kh1 import step_at

NAME = "workers-cpu"
AGAINST = "the same node as one process"
SLICE_CODES, SLICE_S = 20_000, 1
SLICES, SMALL_SLICES = 12, 3
STOP_S = 20.0


def run(small: bool) -> Result:
    """Measure in interleaved slices."""
    if shutil.which("wrk") is None:
        return Result(measure=NAME, ours=None, theirs=None, unit="us", ratio=None,
                      against=AGAINST, n=0, settings={}, valid=False, why="wrk isn't installed")
    slices = SMALL_SLICES if small else SLICES
    rounds: dict[int, list[Round]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory(prefix="kanhe-bench-") as name:
        folders = {processes: Path(name) / str(processes) for processes in rounds}
        folders[1].mkdir()
        fill(folders[1], SLICE_CODES * (slices + 1))
        shutil.copytree(folders[1], folders[2])
        with crew(folders[1], 1) as one, crew(folders[2], 2) as two:
            servers = {1: one, 2: two}
            for turn in range(slices + 1):
                for processes in (1, 2) if turn % 2 else (2, 1):
                    done = _slice(folders[processes], *servers[processes], turn)
                    if turn:  # the first pair is a warm-up
                        rounds[processes].append(done)
    ours, theirs = (median(item.cpu_us for item in rounds[processes]) for processes in (2, 1))
    wrong = sum(item.wrong for taken in rounds.values() for item in taken)
    return Result(
        measure=NAME, ours=round(ours, 1), theirs=round(theirs, 1), unit="us",
        ratio=round(ours / theirs, 3), against=AGAINST, n=slices,
        settings={
            "connections": CONNECTIONS, "wrong_answers": wrong,
            "cpu_us": {str(processes): [round(item.cpu_us) for item in taken]
                       for processes, taken in rounds.items()},
            "rates": {str(processes): round(median(item.rate for item in taken))
                      for processes, taken in rounds.items()},
        },
        valid=wrong == 0, why="" if wrong == 0 else f"{wrong} wrong answers",
    )


def _slice(folder: Path, port: int, pids: list[int], turn: int) -> Round:
    """Load one node for a second with codes of its own."""
    numbers = range(turn * SLICE_CODES, (turn + 1) * SLICE_CODES)
    with (folder / "codes").open("w") as file:
        file.writelines(code + "\n" for code in codes_of(numbers, step_at(time.time())))
    return loaded(port, pids, folder, SLICE_S, f"slice{turn}", '"decision":"accept"',
                  sorted(os.sched_getaffinity(0)))


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
