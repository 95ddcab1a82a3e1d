"""One client's connection at a worker: a gate's JSON verification is answered, the rest passed on.

- A request whose head is plainly a gate's JSON verification (`edge.web.heads`) goes to the handler
  as a body and comes back as bytes, one at a time, in order.
- At anything else the connection becomes the keeper's for good: all its bytes go there unchanged,
  from that request on, and the keeper's come back. No HTTP is parsed for that.
- What waits is bounded both ways; whoever doesn't read isn't read from.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import cast

from edge.access.listening import KEEPALIVE_S
from edge.crew.words import Passed, framed
from edge.protocol.records import GateRecord
from edge.web.heads import BODY_BYTES_MAX, Heads
from edge.web.short import Respond

HELD_BYTES_MAX = 2 * BODY_BYTES_MAX
PATIENCE_S = 0.25
"""How long a request may take to arrive before the keeper, which bounds slow ones, waits for it."""
_END = b"\r\n\r\n"
Quick = Callable[[GateRecord, bytes, Respond], None]
"""Has the whole response to a gate's body given, once; raises nothing."""
Connect = Callable[[Callable[[], asyncio.Protocol]], Awaitable[object]]
"""Connects a protocol to the keeper."""


class Doors:
    """What the connections of a worker share."""

    def __init__(self, quick: Quick, heads: Heads, connect: Connect) -> None:
        """Take the handler, the meaning of heads, and the way to the keeper."""
        self.quick, self.heads, self.connect = quick, heads, connect
        self.open: set[Door] = set()
        self.closing = False
        self.answered = asyncio.Event()

    def door(self) -> "Door":
        """Make a connection."""
        return Door(self)

    def close_idle(self, now_s: float) -> None:
        """Close what nobody has used for long; times are the loop's."""
        for door in list(self.open):
            door.close_if_idle(now_s - KEEPALIVE_S)

    async def drain(self, within_s: float) -> None:
        """Answer what is under way, and close what isn't passed on."""
        self.closing = True
        for door in list(self.open):
            door.drain()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while any(door.calling for door in self.open):
                    self.answered.clear()
                    await self.answered.wait()


class Door(asyncio.Protocol):
    """One connection."""

    def __init__(self, doors: Doors) -> None:
        """Begin with nothing received."""
        self._doors, self._loop = doors, asyncio.get_running_loop()
        self._transport = cast(asyncio.Transport, None)
        self._held = b""
        self._patience: asyncio.TimerHandle | None = None
        self._passage: Passage | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._used_s = self._loop.time()
        self._blocked = self._full = False
        self.calling = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take note of the connection."""
        self._transport = cast(asyncio.Transport, transport)
        self._doors.open.add(self)

    def data_received(self, data: bytes) -> None:
        """Take bytes of the client."""
        if self._passage is not None:
            self._passage.write(data)
            return
        self._held += data
        if len(self._held) > HELD_BYTES_MAX:
            self._full = True
            self._read_or_not()
        self._take()

    def pause_writing(self) -> None:
        """Stop reading, here or at the keeper, until the client reads."""
        self._blocked = True
        self._read_or_not()
        if self._passage is not None:
            self._passage.read(False)

    def resume_writing(self) -> None:
        """Go on when the client reads again."""
        self._blocked = False
        if self._passage is not None:
            self._passage.read(True)
        self._read_or_not()
        self._loop.call_soon(self._take)

    def connection_lost(self, _: BaseException | None) -> None:
        """Forget what was held; a call under way still gets its record."""
        self._doors.open.discard(self)
        self._forget_patience()
        self._held = b""
        if self._passage is not None:
            self._passage.close()

    def read(self, on: bool) -> None:
        """Read on, or wait until the keeper takes more."""
        self._full = not on
        self._read_or_not()

    def write(self, data: bytes) -> None:
        """Give the client what the keeper says."""
        self._transport.write(data)

    def close(self) -> None:
        """Close behind what is written."""
        self._transport.close()

    def close_if_idle(self, since_s: float) -> None:
        """Close if nothing was answered since then and nothing is under way."""
        if self._idle and self._used_s < since_s:
            self._transport.close()

    def drain(self) -> None:
        """Close if nothing is under way; else the answer closes it."""
        if self._idle:
            self._transport.close()

    @property
    def _idle(self) -> bool:
        return not self.calling and self._passage is None and self._connecting is None

    def _take(self) -> None:
        """Begin the request that what is held begins with."""
        held = self._held
        if not held or not self._idle or self._blocked or self._transport.is_closing():
            return
        body_at = held.find(_END) + len(_END)
        if body_at < len(_END):
            self._wait()
            return
        head = self._doors.heads.parse(held[:body_at])
        if not head.short or head.gate is None:
            self._pass_on()
            return
        end = body_at + head.body_bytes
        if len(held) < end:
            self._wait()
            return
        self._forget_patience()
        self._held = held[end:]
        self.calling = True
        self._doors.quick(head.gate, held[body_at:end], self._answered)

    def _answered(self, response: bytes | None) -> None:
        self.calling = False
        self._doors.answered.set()
        self._used_s = self._loop.time()
        if response is None:
            self._transport.abort()
            return
        if self._transport.is_closing():
            return
        self._transport.write(response)
        if self._doors.closing:
            self._transport.close()
        elif self._held or self._full:
            self._full = False
            self._read_or_not()
            # Not at once: each answer of a long pipeline would be a frame deeper.
            self._loop.call_soon(self._take)

    def _wait(self) -> None:
        """Wait for the rest of a request, but not for long."""
        if self._patience is None:
            self._patience = self._loop.call_later(PATIENCE_S, self._pass_on)
        if self._full:
            self._pass_on()

    def _forget_patience(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _pass_on(self) -> None:
        """Make the connection the keeper's from here on."""
        self._forget_patience()
        self._full = True
        self._read_or_not()
        self._connecting = self._loop.create_task(self._connect())

    async def _connect(self) -> None:
        client = self._transport.get_extra_info("peername") or ("", 0)
        passage = Passage(self)
        try:
            await self._doors.connect(lambda: passage)
        except OSError:
            self._transport.abort()
            return
        finally:
            self._connecting = None
        passage.write(framed(Passed(str(client[0]), int(client[1]))) + self._held)
        self._held, self._passage = b"", passage
        passage.read(not self._blocked)
        if self._transport.is_closing():
            passage.close()
        elif not passage.full:
            self.read(True)

    def _read_or_not(self) -> None:
        if self._transport.is_closing():
            return
        stop = self._full or (self._blocked and self._passage is None)
        with contextlib.suppress(RuntimeError):  # it is as it should be already
            if stop:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()


class Passage(asyncio.Protocol):
    """The way of one client's bytes to the keeper and back.

    Attributes:
        full: The keeper has more than it takes at present.
    """

    def __init__(self, door: Door) -> None:
        """Take the client's connection."""
        self._door = door
        self._transport = cast(asyncio.Transport, None)
        self.full = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take note of the connection."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Give the client what the keeper says."""
        self._door.write(data)

    def connection_lost(self, _: BaseException | None) -> None:
        """The keeper closed it: so does the worker, behind what it said."""
        self._door.close()

    def pause_writing(self) -> None:
        """Stop reading from the client."""
        self.full = True
        self._door.read(False)

    def resume_writing(self) -> None:
        """Go on reading from the client."""
        self.full = False
        self._door.read(True)

    def write(self, data: bytes) -> None:
        """Give the keeper what the client says."""
        self._transport.write(data)

    def read(self, on: bool) -> None:
        """Read on, or wait until the client takes more."""
        if not self._transport.is_closing():
            with contextlib.suppress(RuntimeError):
                if on:
                    self._transport.resume_reading()
                else:
                    self._transport.pause_reading()

    def close(self) -> None:
        """End it behind what is written."""
        self._transport.close()
