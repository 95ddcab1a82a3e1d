"""`http-code-only`: verifications a second over HTTP, a scene without a face.

- Ours: the node's whole surface, every request a fresh genuine code of the current steps. Theirs:
  a bare aiohttp handler on uvloop that reads, decodes and answers JSON of the same sizes.
- wrk on the other core, 32 connections; the server pinned to one core and at least 95 % busy.
"""

import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from bench.harness import Result
from bench.harness_calls import TOKEN, codes_of, served
from bench.harness_http import SCENE, fill
from bench.harness_node import cpu_s
from edge.protocol.kh1 import step_at
from edge.protocol.steps import STEP_S

NAME = "http-code-only"
AGAINST = "a bare aiohttp handler on uvloop: read, msgspec decode, JSON of the same sizes"
CREDENTIALS, SMALL_CREDENTIALS = 60_000, 3_000
ROUNDS, SMALL_ROUNDS = 3, 1
SECONDS, SMALL_SECONDS = 4, 1
CONNECTIONS = 32
BUSY_MIN = 0.95
_LUA = """
local codes = {}
for line in io.lines("%s") do codes[#codes + 1] = line end
local n = 0
wrong = 0
local stamp = "%s"
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer %s"
request = function()
  n = n + 1
  local code = codes[(n - 1) %% #codes + 1]
  return wrk.format(nil, "/v1/verifications", nil,
    '{"scene":"%s","request_id":"' .. stamp .. n .. '","presentation":"' .. code .. '"}')
end
response = function(status, headers, body)
  if not string.find(body, '%s', 1, true) then wrong = wrong + 1 end
end
local threads = {}
setup = function(thread) table.insert(threads, thread) end
done = function(summary, latency, requests)
  for _, thread in ipairs(threads) do print("wrong " .. thread:get("wrong")) end
end
"""


class Round(NamedTuple):
    """What one side did in one round.

    Attributes:
        rate: Answers a second.
        busy: Share of the time in which its process used its core.
        wrong: Answers that aren't the expected one.
        cpu_us: Processor time an answer.
    """

    rate: float
    busy: float
    wrong: int
    cpu_us: float


def run(small: bool) -> Result:
    """Measure in interleaved rounds."""
    cores = sorted(os.sched_getaffinity(0))
    if shutil.which("wrk") is None or len(cores) < 2:
        why = "wrk isn't installed" if shutil.which("wrk") is None else "two cores are needed"
        return Result(measure=NAME, ours=None, theirs=None, unit="1/s", ratio=None,
                      against=AGAINST, n=0, settings={}, valid=False, why=why)
    count = SMALL_CREDENTIALS if small else CREDENTIALS
    seconds = SMALL_SECONDS if small else SECONDS
    rounds: dict[str, list[Round]] = {"ours": [], "theirs": []}
    with tempfile.TemporaryDirectory(prefix="kanhe-bench-") as name:
        folder = Path(name)
        fill(folder, count)
        for turn in range(SMALL_ROUNDS if small else ROUNDS):
            for side in ("ours", "theirs"):
                rounds[side].append(one_round(side, folder, count, seconds, turn, cores))
    ours, theirs = (statistics.median(one.rate for one in side) for side in rounds.values())
    cpu_us = {side: statistics.median(one.cpu_us for one in all_)
              for side, all_ in rounds.items()}
    idle = min(one.busy for side in rounds.values() for one in side)
    wrong = sum(one.wrong for side in rounds.values() for one in side)
    # What was asked beyond the prepared codes is answered as a replay and counts as wrong.
    valid = wrong == 0 and (small or idle >= BUSY_MIN)
    return Result(
        measure=NAME, ours=round(ours), theirs=round(theirs), unit="1/s",
        ratio=round(ours / theirs, 3), against=AGAINST, n=len(rounds["ours"]),
        settings={"credentials": count, "connections": CONNECTIONS, "seconds": seconds,
                  "busy_min": round(idle, 3), "wrong_answers": wrong,
                  "cpu_us": {side: round(us, 1) for side, us in cpu_us.items()},
                  "cpu_ratio": round(cpu_us["theirs"] / cpu_us["ours"], 3)},
        valid=valid, why="" if valid else f"{wrong} wrong answers, least busy {idle:.2f}",
    )


def one_round(
    side: str, folder: Path, count: int, seconds: int, turn: int, cores: list[int]
) -> Round:
    """Start one server, load it, stop it."""
    with served(side, folder, cores[0]) as (port, pid):
        # Each round has steps of its own, so that nothing in it was spent before.
        time.sleep(STEP_S - time.time() % STEP_S + 0.05)
        first = step_at(time.time()) + (1 if count > SMALL_CREDENTIALS else 0)
        _write_codes(folder / "codes", count, first)
        time.sleep(max(0.0, first * STEP_S - time.time()))
        expected = '"decision":"accept"' if side == "ours" else '"filler"'
        return loaded(port, [pid], folder, seconds, f"{side}{turn}", expected, cores[1:2])


def loaded(
    port: int, pids: list[int], folder: Path, seconds: int, name: str, expected: str,
    cores: list[int],
) -> Round:
    """Load a server of some processes from some cores with the codes of a folder's file `codes`."""
    script = folder / "load.lua"
    script.write_text(_LUA % (folder / "codes", f"{name}-{time.time_ns()}-", f"bench.{TOKEN}",
                              SCENE, expected))
    before = sum(map(cpu_s, pids))
    out = subprocess.run(
        ["taskset", "-c", ",".join(map(str, cores)), "wrk", "-t1", f"-c{CONNECTIONS}",
         f"-d{seconds}s", "-s", str(script), f"http://127.0.0.1:{port}"],
        capture_output=True, text=True, check=True,
    ).stdout
    used = sum(map(cpu_s, pids)) - before
    # By its own clock: before it asks it reads the codes.
    calls = re.search(r"(\d+) requests in ([\d.]+)s", out)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", out)
    bad = re.search(r"wrong (\d+)", out)
    assert rate
    assert bad
    assert calls
    return Round(float(rate[1]), used / float(calls[2]), int(bad[1]), used / int(calls[1]) * 1e6)


def _write_codes(path: Path, count: int, first: int) -> None:
    """Prepare codes of two steps, every credential's in ascending order."""
    with path.open("w") as file:
        for step in (first, first + 1):
            file.writelines(code + "\n" for code in codes_of(range(count), step))
