"""An open-loop client: arrivals come when they come, whether or not the server keeps up.

- A latency counts from the moment the request was due, not from when it could be sent, so a stall
  is felt by all that were due meanwhile (no coordinated omission).
- The client spins on a processor of its own, because timers of an event loop are too coarse.
"""

import asyncio
import gc
import os
import time
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple, cast

import uvloop

CONNECTIONS_MAX = 512
PATIENCE_S = 10.0
"""How long answers are waited for after the last arrival."""


class Reply(NamedTuple):
    """What became of one request.

    Attributes:
        number: Of the request.
        latency_s: From the moment it was due to its answer's last byte.
        sent_s: From the moment it was due until it was sent.
        status: Of HTTP; 0 = no answer.
        body: Of the answer.
    """

    number: int
    latency_s: float
    sent_s: float
    status: int
    body: bytes


class _Connection(asyncio.Protocol):
    """One keep-alive connection with at most one request on its way."""

    def __init__(self, client: "_Client") -> None:
        self._client = client
        self._data = b""
        self.transport: asyncio.Transport | None = None
        self._number, self._due, self._sent = -1, 0.0, 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast(asyncio.Transport, transport)

    def send(self, number: int, due: float, request: bytes) -> None:
        """Send one request that was due at a time of `perf_counter`."""
        assert self.transport is not None
        self._number, self._due, self._sent = number, due, time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Gather the answer until it is whole."""
        self._data += data
        at = self._data.find(b"\r\n\r\n") + 4
        if at < 4:
            return
        head = self._data[:at].lower()
        length = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        if len(self._data) < at + length:
            return
        body, self._data = self._data[at : at + length], b""
        self._end(int(head[9:12]), body)
        if b"connection: close" not in head:
            self._client.free.append(self)
        elif self.transport is not None:
            self.transport.close()

    def connection_lost(self, _: Exception | None) -> None:
        """Count what was on its way as unanswered."""
        if self in self._client.free:
            self._client.free.remove(self)
        if self._number >= 0:
            self._end(0, b"")
        self._client.count -= 1

    def _end(self, status: int, body: bytes) -> None:
        now = time.perf_counter()
        self._client.replies.append(
            Reply(self._number, now - self._due, self._sent - self._due, status, body))
        self._number = -1


class _Client:
    def __init__(self, port: int, rate: float, requests: Sequence[bytes]) -> None:
        self._port, self._rate, self._requests = port, rate, requests
        self.free: list[_Connection] = []
        self.replies: list[Reply] = []
        self.count = 0
        self._waiting: deque[tuple[int, float]] = deque()
        self._next = 0

    async def run(self, connections: int) -> list[Reply]:
        """Open the connections, send every request when it is due, and give the replies."""
        loop = asyncio.get_running_loop()
        for _ in range(connections):
            _, made = await loop.create_connection(
                lambda: _Connection(self), "127.0.0.1", self._port)
            self.free.append(made)
            self.count += 1
        start, last = time.perf_counter(), len(self._requests)
        end = start + last / self._rate + PATIENCE_S
        while len(self.replies) < last and time.perf_counter() < end and self.count:
            now = time.perf_counter()
            while self._next < last and start + self._next / self._rate <= now:
                self._waiting.append((self._next, start + self._next / self._rate))
                self._next += 1
            while self._waiting and self.free:
                number, due = self._waiting.popleft()
                self.free.pop().send(number, due, self._requests[number])
            await asyncio.sleep(0)
        return self.replies


def offer(
    port: int, rate: float, requests: Sequence[bytes], core: int,
    connections: int = CONNECTIONS_MAX,
) -> list[Reply]:
    """Send requests at a constant rate and give what became of each.

    Args:
        port: On loopback.
        rate: Arrivals a second.
        requests: Whole requests in the order of their arrivals.
        core: The processor that the client spins on.
        connections: How many requests can be on their way.
    """
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    # All that is kept grows with the replies: walking through it stalls the client 100 ms.
    gc.disable()
    try:
        return uvloop.run(_Client(port, rate, requests).run(connections))
    finally:
        gc.enable()
        os.sched_setaffinity(0, before)


def percentile(values: Sequence[float], share: float) -> float:
    """Give the value that a share of all don't exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
