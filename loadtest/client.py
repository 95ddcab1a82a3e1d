"""A lean HTTP/1.1 client: requests as bytes, replies by callback, no task a request.

- A general client costs more than the node under test, so the generator would be what is
  measured. This one knows `Content-Length` only, which is all a node answers with.
- One request at a time on a connection; what finds none free waits, and its latency counts on.
- Bounded: connections, waiting requests, seconds of a request, bytes of a reply.
"""

import asyncio
import re
import ssl
import time
from collections import deque
from collections.abc import Callable
from typing import cast

import msgspec

from loadtest.target import Target

HEAD_BYTES_MAX = 32 * 1024
BODY_BYTES_MAX = 4 * 1024 * 1024
SWEEP_S = 0.1
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,9})[ \t]*\r\n")

Done = Callable[[int, bytes], None]
"""Status and body; a failure has status 0 and its name as body."""


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of a client.

    Attributes:
        connections_max: Connections at once.
        waiting_max: Requests that may wait for one.
        timeout_s: Seconds from `send` to the whole reply.
    """

    connections_max: int = 256
    waiting_max: int = 20_000
    timeout_s: float = 10.0


class _Connection(asyncio.Protocol):
    """One connection; tells its client what became of it."""

    def __init__(self, client: "Client") -> None:
        self._client = client
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._body_at = 0
        self._end = -1
        self._last = False
        self.done: Done | None = None
        self.sent_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        # uvloop's transports are no subclass of asyncio's.
        self._transport = cast(asyncio.Transport, transport)

    def send(self, request: bytes, done: Done, since_s: float) -> None:
        """Send one request; its latency counts from `since_s`."""
        assert self._transport is not None
        self.done, self.sent_s = done, since_s
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Gather the answer, settle, and be free again."""
        buffer = self._buffer
        buffer += data
        if self._end < 0 and not self._read_head():
            return
        if len(buffer) < self._end:
            return
        status = int(buffer[9:12])
        body = bytes(buffer[self._body_at : self._end])
        buffer.clear()
        self._end = -1
        self._settle(status, body)
        if self._last and self._transport is not None:
            self._transport.close()
        else:
            self._client.freed(self)

    def connection_lost(self, _: Exception | None) -> None:
        """Settle what was on its way."""
        self._client.lost(self)
        self._settle(0, b"connection")

    def abort(self, why: bytes) -> None:
        """Settle with a reason and hang up."""
        self._settle(0, why)
        if self._transport is not None:
            self._transport.abort()

    def _read_head(self) -> bool:
        at = self._buffer.find(b"\r\n\r\n")
        if at < 0:
            if len(self._buffer) > HEAD_BYTES_MAX:
                self.abort(b"protocol")
            return False
        head = bytes(self._buffer[: at + 2]).lower()
        found = _LENGTH.search(head)
        if found is None or not self._buffer[9:12].isdigit() or int(found[1]) > BODY_BYTES_MAX:
            self.abort(b"protocol")
            return False
        self._last = b"\r\nconnection: close\r\n" in head
        self._body_at = at + 4
        self._end = self._body_at + int(found[1])
        return True

    def _settle(self, status: int, body: bytes) -> None:
        done, self.done = self.done, None
        if done is not None:
            done(status, body)


class Client:
    """Sends requests to one target."""

    def __init__(
        self, target: Target, bounds: Bounds, tls: ssl.SSLContext | None = None
    ) -> None:
        """Begin without a connection; belongs to the running loop."""
        self._target, self._bounds, self._tls = target, bounds, tls
        self._loop = asyncio.get_running_loop()
        self._free: list[_Connection] = []
        self._all: set[_Connection] = set()
        self._waiting: deque[tuple[bytes, Done, float]] = deque()
        self._opening: set[asyncio.Task[None]] = set()
        self._closed = False
        self._sweeper = self._loop.call_later(SWEEP_S, self._sweep)

    def send(self, request: bytes, done: Done) -> None:
        """Send a request; `done` is called exactly once, at the latest after the timeout."""
        now = time.monotonic()
        if self._free:
            self._free.pop().send(request, done, now)
        elif len(self._waiting) >= self._bounds.waiting_max:
            done(0, b"unsent")
        else:
            self._waiting.append((request, done, now))
            self._grow()

    def freed(self, connection: _Connection) -> None:
        """Give a connection its next request."""
        if self._waiting:
            connection.send(*self._waiting.popleft())
        elif connection in self._all:
            self._free.append(connection)

    def lost(self, connection: _Connection) -> None:
        """Forget a connection."""
        self._all.discard(connection)
        if connection in self._free:
            self._free.remove(connection)
        if self._waiting and not self._closed:
            self._grow()

    def close(self) -> None:
        """End all connections; what is under way fails."""
        self._closed = True
        self._sweeper.cancel()
        for task in list(self._opening):
            task.cancel()
        for connection in list(self._all):
            connection.abort(b"closed")
        while self._waiting:
            self._waiting.popleft()[1](0, b"closed")

    def _grow(self) -> None:
        if len(self._all) + len(self._opening) < self._bounds.connections_max:
            task = self._loop.create_task(self._open())
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _open(self) -> None:
        server_name = self._target.host if self._tls else None
        try:
            _, connection = await asyncio.wait_for(self._loop.create_connection(
                lambda: _Connection(self), self._target.host, self._target.port, ssl=self._tls,
                server_hostname=server_name), self._bounds.timeout_s)
        except (OSError, TimeoutError):
            if self._waiting:
                self._waiting.popleft()[1](0, b"connect")
            return
        self._all.add(connection)
        self.freed(connection)

    def _sweep(self) -> None:
        late = time.monotonic() - self._bounds.timeout_s
        for connection in [item for item in self._all if item.done and item.sent_s < late]:
            connection.abort(b"timeout")
        while self._waiting and self._waiting[0][2] < late:
            self._waiting.popleft()[1](0, b"timeout")
        self._sweeper = self._loop.call_later(SWEEP_S, self._sweep)
