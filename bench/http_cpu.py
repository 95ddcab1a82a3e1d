"""`http-cpu`: CPU time of a code-only verification over HTTP, against a bare handler's.

- Ours: the whole node's process: HTTP, guard, durable journal, metrics. Theirs: the bare aiohttp
  handler of `http-code-only`. The same client, 32 connections, the same requests.
- By the kernel's account of each process, so it holds on a busy machine, where rates by the clock
  on the wall don't.
"""

import asyncio
import base64
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.harness import Result
from bench.harness_http import GATE_SECRET, SCENE, credential_id, epoch_keys, fill
from edge.hotpath.keys import DerivedKeys
from edge.hotpath.wallet import derive_wallet_keys, make_presentation
from edge.protocol.kh1 import SUITE_COMPACT, key_epoch_of, step_at
from loadtest.client import Bounds, Client
from loadtest.target import parse_target

NAME = "http-cpu"
CALLS, SMALL_CALLS = 6_000, 1_500
CONNECTIONS = 32
BARE_TIMES = 8
"""The bare handler gets each request so often: the kernel counts in hundredths of a second."""
ANSWER_BYTES = 690


def run(small: bool) -> Result:
    """Measure the node, then the bare handler."""
    calls = SMALL_CALLS if small else CALLS
    with tempfile.TemporaryDirectory(prefix="kanhe-bench-") as name:
        fill(Path(name), calls)
        ours, accepted = _cpu("ours", name, calls, 1)
    theirs, _ = _cpu("theirs", str(ANSWER_BYTES), calls, BARE_TIMES)
    return Result(
        measure=NAME, ours=round(ours * 1e6, 1), theirs=round(theirs * 1e6, 1), unit="us",
        ratio=round(ours / theirs, 3), against="a bare aiohttp handler on uvloop, CPU a request",
        n=calls, settings={"connections": CONNECTIONS, "accepted": accepted},
        valid=accepted == calls, why="" if accepted == calls else f"{accepted} of {calls} accepted",
    )


def _cpu(side: str, argument: str, calls: int, times: int) -> tuple[float, int]:
    """Give CPU seconds a request of one side's process, and how many it accepted."""
    server = subprocess.Popen(
        [sys.executable, "-m", "bench.harness_http", side, argument],
        stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        url = f"http://127.0.0.1:{int(server.stdout.readline())}"
        asks = _requests(calls) * times
        start = cpu_s_of(server.pid)
        accepted = asyncio.run(_send(url, asks))
        return (cpu_s_of(server.pid) - start) / len(asks), accepted
    finally:
        server.kill()
        server.wait()


def _requests(count: int) -> list[bytes]:
    """Make a fresh code of each credential, for the coming step: good for ten seconds and more."""
    step = step_at(time.time()) + 1
    epoch = DerivedKeys(epoch_keys(key_epoch_of(step)))
    gate = "bench." + base64.urlsafe_b64encode(GATE_SECRET).decode().rstrip("=")
    head = (f"POST /v1/verifications HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {gate}\r\n"
            "Content-Type: application/json\r\nContent-Length: ")
    made = []
    for number in range(count):
        keys = derive_wallet_keys(epoch, SUITE_COMPACT, credential_id(number))
        body = (f'{{"scene":"{SCENE}","request_id":"r{number}",'
                f'"presentation":"{make_presentation(keys, step)}"}}')
        made.append(f"{head}{len(body)}\r\n\r\n{body}".encode("ascii"))
    return made


async def _send(url: str, asks: list[bytes]) -> int:
    """Send all over a few connections, each as the one before is answered; count accepts."""
    client = Client(parse_target(url), Bounds(connections_max=CONNECTIONS, timeout_s=30.0))
    left, done = iter(asks), asyncio.Event()
    open_ = accepted = 0

    def following(_: int, body: bytes) -> None:
        """Take an answer, and send the next request."""
        nonlocal accepted, open_
        accepted += b'"decision":"accept"' in body
        open_ -= 1
        begin()

    def begin() -> None:
        """Send the next request, or say that all are answered."""
        nonlocal open_
        ask = next(left, None)
        if ask is not None:
            open_ += 1
            client.send(ask, following)
        elif not open_:
            done.set()

    for _ in range(CONNECTIONS):
        begin()
    await done.wait()
    client.close()
    return accepted


def cpu_s_of(pid: int) -> float:
    """Give the CPU seconds that a process has used so far, by the kernel's account."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
