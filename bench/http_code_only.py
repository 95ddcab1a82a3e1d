"""`http-code-only`: verifications a second over HTTP, a scene without a face.

- Ours: the node's whole surface, every request a fresh genuine code of the current steps. Theirs:
  a bare aiohttp handler on uvloop that reads, decodes and answers JSON of the same sizes.
- wrk on the other core, 32 connections; the server pinned to one core and at least 95 % busy.
"""

import base64
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.harness import Result
from bench.harness_http import GATE_SECRET, SCENE, credential_id, epoch_keys, fill
from bench.harness_node import cpu_s
from edge.hotpath.keys import DerivedKeys
from edge.hotpath.wallet import derive_wallet_keys, make_presentation
from edge.protocol.kh1 import STEP_S, SUITE_COMPACT, key_epoch_of, step_at

NAME = "http-code-only"
AGAINST = "a bare aiohttp handler on uvloop: read, msgspec decode, JSON of the same sizes"
CREDENTIALS, SMALL_CREDENTIALS = 60_000, 3_000
ROUNDS, SMALL_ROUNDS = 3, 1
SECONDS, SMALL_SECONDS = 4, 1
CONNECTIONS = 32
ANSWER_BYTES = 690
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


def run(small: bool) -> Result:
    """Measure in interleaved rounds."""
    cores = sorted(os.sched_getaffinity(0))
    if shutil.which("wrk") is None or len(cores) < 2:
        why = "wrk isn't installed" if shutil.which("wrk") is None else "two cores are needed"
        return Result(measure=NAME, ours=None, theirs=None, unit="1/s", ratio=None,
                      against=AGAINST, n=0, settings={}, valid=False, why=why)
    count = SMALL_CREDENTIALS if small else CREDENTIALS
    seconds = SMALL_SECONDS if small else SECONDS
    rates: dict[str, list[float]] = {"ours": [], "theirs": []}
    busy: dict[str, list[float]] = {"ours": [], "theirs": []}
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="kanhe-bench-") as name:
        folder = Path(name)
        fill(folder, count)
        for turn in range(SMALL_ROUNDS if small else ROUNDS):
            for side, argument in (("ours", name), ("theirs", str(ANSWER_BYTES))):
                rate, share, bad = _round(side, argument, folder, count, seconds, turn, cores)
                rates[side].append(rate)
                busy[side].append(share)
                wrong += bad
    ours, theirs = statistics.median(rates["ours"]), statistics.median(rates["theirs"])
    idle = min(busy["ours"] + busy["theirs"])
    # What was asked beyond the prepared codes is answered as a replay and counts as wrong.
    valid = wrong == 0 and (small or idle >= BUSY_MIN)
    return Result(
        measure=NAME, ours=round(ours), theirs=round(theirs), unit="1/s",
        ratio=round(ours / theirs, 3), against=AGAINST, n=len(rates["ours"]),
        settings={"credentials": count, "connections": CONNECTIONS, "seconds": seconds,
                  "busy_min": round(idle, 3), "wrong_answers": wrong},
        valid=valid, why="" if valid else f"{wrong} wrong answers, least busy {idle:.2f}",
    )


def _round(
    side: str, argument: str, folder: Path, count: int, seconds: int, turn: int, cores: list[int]
) -> tuple[float, float, int]:
    """Start one server, load it, stop it; give rate, busy share, wrong answers."""
    server = subprocess.Popen(
        ["taskset", "-c", str(cores[0]), sys.executable, "-m", "bench.harness_http", side,
         argument], stdout=subprocess.PIPE, text=True,
    )
    try:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        # Each round has steps of its own, so that nothing in it was spent before.
        time.sleep(STEP_S - time.time() % STEP_S + 0.05)
        first = step_at(time.time()) + (1 if count > SMALL_CREDENTIALS else 0)
        _write_codes(folder / "codes", count, first)
        script = folder / "load.lua"
        credential = "bench." + base64.urlsafe_b64encode(GATE_SECRET).decode().rstrip("=")
        expected = '"decision":"accept"' if side == "ours" else '"filler"'
        script.write_text(_LUA % (folder / "codes", f"{side}{turn}-{time.time_ns()}-", credential,
                                  SCENE, expected))
        time.sleep(max(0.0, first * STEP_S - time.time()))
        before, start = cpu_s(server.pid), time.perf_counter()
        out = subprocess.run(
            ["taskset", "-c", str(cores[1]), "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s",
             "-s", str(script), f"http://127.0.0.1:{port}"],
            capture_output=True, text=True, check=True,
        ).stdout
        share = (cpu_s(server.pid) - before) / (time.perf_counter() - start)
    finally:
        server.kill()
        server.wait()
    rate = re.search(r"Requests/sec:\s+([\d.]+)", out)
    bad = re.search(r"wrong (\d+)", out)
    assert rate
    assert bad
    return float(rate[1]), share, int(bad[1])


def _write_codes(path: Path, count: int, first: int) -> None:
    """Prepare codes of two steps, every credential's in ascending order."""
    with path.open("w") as file:
        for step in (first, first + 1):
            epoch = DerivedKeys(epoch_keys(key_epoch_of(step)))
            for number in range(count):
                keys = derive_wallet_keys(epoch, SUITE_COMPACT, credential_id(number))
                file.write(make_presentation(keys, step) + "\n")

