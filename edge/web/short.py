"""The short way of `POST /v1/verifications`: from the connection's bytes to the pipeline and back.

- One connection, one port: whatever `edge.web.heads` doesn't know as a plain JSON verification
  goes to aiohttp, byte for byte as it came, and comes back to the short way after its answer.
- One call of a connection at a time; what is pipelined waits, within a bound.
- Not here: any decision, any parsing of HTTP, any error's words.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from aiohttp import web

from edge.access.listening import Connections
from edge.protocol.records import GateRecord
from edge.web.heads import BODY_BYTES_MAX, Head, Heads

HELD_BYTES_MAX = 2 * BODY_BYTES_MAX
"""Pipelined bytes of a connection; with more its reading stops until they are worked off."""
PATIENCE_S = 0.25
"""How long a body may take before aiohttp, which bounds slow bodies, is to wait for it."""
_END = b"\r\n\r\n"


Respond = Callable[[bytes | None], None]
"""Takes a whole response; None if there will be none."""


class Quick(Protocol):
    """What a connection needs of the handlers."""

    def quick(self, gate: GateRecord, body: bytes, respond: Respond) -> None:
        """Have the whole response to a gate's body given to `respond`, once; raises nothing."""
        ...

    def stranger(self) -> bytes:
        """Give the whole response to whoever isn't a gate."""
        ...


class Connection(web.RequestHandler):
    """aiohttp's protocol with a short way before it."""

    __slots__ = ("_called", "_calling", "_closing", "_elsewhere", "_heads", "_held", "_patience",
                 "_quick", "_stopped")

    def __init__(
        self, server: web.Server, quick: Quick, heads: Heads, *,
        loop: asyncio.AbstractEventLoop, keepalive_s: float,
    ) -> None:
        """Take aiohttp's server and the handlers of the short way."""
        super().__init__(server, loop=loop, keepalive_timeout=keepalive_s)
        self._quick, self._heads = quick, heads
        self._calling = False
        # Somebody waits here for the call under way.
        self._called: asyncio.Future[None] | None = None
        self._held = b""
        # Bytes of the present request that are still aiohttp's; -1 = all that ever comes.
        self._elsewhere = 0
        self._patience: asyncio.TimerHandle | None = None
        self._stopped = self._closing = False

    def data_received(self, data: bytes) -> None:
        """Take the short way, or aiohttp's."""
        if not data:
            # aiohttp asks itself to parse on what it holds.
            super().data_received(data)
        elif self._closing:
            return
        elif self._calling or self.writing_paused or self._held:
            self._hold(data)
        else:
            self._take(data)

    def _hold(self, data: bytes) -> None:
        """Keep what can't be taken yet."""
        self._held += data
        if not self._calling and not self.writing_paused:
            held, self._held = self._held, b""
            self._take(held)
        elif len(self._held) > HELD_BYTES_MAX and not self._stopped and self.transport:
            self._stopped = True
            self.transport.pause_reading()

    def _take(self, data: bytes) -> None:
        """Begin the call that `data` begins with."""
        if self._elsewhere:
            self._take_elsewhere(data, len(data))
            return
        body_at = data.find(_END) + len(_END)
        head = self._heads.parse(data[:body_at]) if body_at >= len(_END) else None
        end = body_at + head.body_bytes if head is not None else -1
        # aiohttp waits for a request when it has answered all that it was given.
        idle = not self._messages and self._waiter is not None and not self._waiter.done()
        if head is None or not head.short or not idle:
            self._elsewhere = -1 if head is None or head.body_bytes < 0 else end
            self._take_elsewhere(data, len(data))
        elif len(data) < end:
            self._held = data
            if self._patience is None:
                self._patience = self._loop.call_later(PATIENCE_S, self._lose_patience)
        else:
            self._begin(head, data[body_at:end], data[end:])

    def _begin(self, head: Head, body: bytes, rest: bytes) -> None:
        self._forget_patience()
        self._held = rest
        if head.gate is None:
            self._answer(self._quick.stranger())
            return
        self._calling = True
        self._quick.quick(head.gate, body, self._answered)

    def _answered(self, response: bytes | None) -> None:
        self._calling = False
        if self._called is not None and not self._called.done():
            self._called.set_result(None)
        if response is None:
            self.force_close()
        else:
            self._answer(response)

    def _answer(self, response: bytes) -> None:
        if self.transport is None:
            return
        self.transport.write(response)
        if self._manager is not None:
            self._manager.requests_count += 1
        if self._closing:
            self.transport.close()
            return
        self._next_keepalive_close_time = self._loop.time() + self.keepalive_timeout
        if self._held or self._stopped:
            # Not at once: each answer of a long pipeline would be a frame deeper.
            self._loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        """Work off what was held, and read again."""
        if self.transport is None or self._calling or self.writing_paused:
            return
        held, self._held = self._held, b""
        if held:
            self._take(held)
        if self._stopped and len(self._held) <= HELD_BYTES_MAX and self.transport is not None:
            self._stopped = False
            if not self._reading_paused and not self._buffer_paused:
                self.transport.resume_reading()

    def _take_elsewhere(self, data: bytes, taken: int) -> None:
        """Give aiohttp what is its own."""
        self._forget_patience()
        if self._elsewhere > 0:
            # With more than this request aiohttp keeps the connection: it alone knows where
            # the next one begins.
            self._elsewhere = self._elsewhere - taken if taken <= self._elsewhere else -1
        super().data_received(data)

    def _lose_patience(self) -> None:
        held, self._held, self._elsewhere = self._held, b"", -1
        self._take_elsewhere(held, 0)

    def _forget_patience(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def resume_writing(self) -> None:
        """Go on when the client reads again."""
        super().resume_writing()
        self._loop.call_soon(self._go_on)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget what was held; a call under way still gets its record."""
        self._forget_patience()
        self._held = b""
        super().connection_lost(exc)

    def close(self) -> None:
        """Take no new call; the one under way is answered."""
        self._closing = True
        super().close()

    async def shutdown(self, timeout: float | None = 15.0) -> None:  # noqa: ASYNC109 - aiohttp's
        """Let the call under way finish, then what aiohttp has."""
        if self._calling:
            self._called = self._loop.create_future()
            await asyncio.wait([self._called], timeout=timeout)
        await super().shutdown(timeout)


def connections(quick: Quick, heads: Heads) -> Connections:
    """Give what makes the connections of a server; see `edge.access.listening.serve`."""

    def of(server: web.Server, keepalive_s: float) -> Callable[[], asyncio.Protocol]:
        loop = asyncio.get_running_loop()
        return lambda: Connection(server, quick, heads, loop=loop, keepalive_s=keepalive_s)

    return of
