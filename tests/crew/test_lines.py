"""The keeper's end of a line: whatever goes wrong at it, its worker is told, or let go."""

import asyncio
import contextlib
import socket
from types import SimpleNamespace

import pytest

from edge.crew import lines as lines_room
from edge.crew.lines import KeeperParts, Lines
from edge.crew.words import (
    Beat,
    Frames,
    Hello,
    PassedCall,
    Settled,
    Turn,
    Welcome,
    decode_to_worker,
    error_of,
    framed,
)
from edge.hotpath.keys import KeyRing
from edge.hotpath.trust import Trust

TRUST = Trust(node_id="n1", log="l1", keys=KeyRing())


class Clock:
    """The node's clock, which may fail."""

    def __init__(self) -> None:
        self.failures = 0

    def now_s(self) -> float:
        return 1.0

    @property
    def state(self) -> str:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("a fault of ours")
        return "trusted"


class Ends:
    """A keeper's lines, and the worker's end of one of them."""

    def __init__(self, **parts) -> None:
        self.clock, self.forgotten = Clock(), []
        self.lines = Lines(KeeperParts(**{
            "settler": SimpleNamespace(forget=self.forgotten.append),
            "call": None, "clock": self.clock, "scope": lambda: "node",
            "problem": lambda *_: None, "refused": lambda *_: None, **parts}), lambda: TRUST)
        self.lines.start(Welcome(b"{}", 0, False))

    async def open(self) -> "Ends":
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        self.worker, ends = theirs, self

        class Arrival(asyncio.Protocol):
            def connection_made(self, transport) -> None:
                ends.line = ends.lines.opened(transport, Hello(1))
                ends.transport = transport

            def connection_lost(self, _) -> None:
                ends.lines.lost(ends.line)

        await asyncio.get_running_loop().create_connection(Arrival, sock=ours)
        self._frames = Frames()
        return self

    async def hear(self, kind):
        """Give the next message of a kind."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(10):
            while True:
                for body in self._frames.feed(await loop.sock_recv(self.worker, 65_536)):
                    message = decode_to_worker(body)
                    if isinstance(message, kind):
                        return message

    def drain(self) -> None:
        """Pass over what was said so far."""
        with contextlib.suppress(BlockingIOError):
            while self.worker.recv(65_536):
                pass

    def close(self) -> None:
        self.lines.close()
        self.worker.close()


@pytest.fixture
async def open_ends():
    opened = []

    async def open_(**parts) -> Ends:
        opened.append(await Ends(**parts).open())
        return opened[-1]

    yield open_
    for ends in opened:
        ends.close()
    await asyncio.sleep(0)


async def test_a_whole_call_that_fails_is_told_to_its_worker(open_ends):
    async def call(gate_id: str, body: bytes) -> bytes:
        raise RuntimeError(f"a fault of ours with {body!r}")

    ends = await open_ends(call=call)
    ends.line.take(framed(Turn(0, passed=[PassedCall(7, "g1", b"secret")]))[4:])
    said = await ends.hear(Settled)
    assert [(refused.number, refused.at) for refused in said.refused] == [(7, 0)]
    error = error_of(said.refused[0])
    assert isinstance(error, RuntimeError)
    assert "secret" not in str(error)


async def test_a_fault_of_a_beat_is_not_the_end_of_all(open_ends, monkeypatch):
    monkeypatch.setattr(lines_room, "BEAT_S", 0.02)
    faults = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    ends = await open_ends()
    await ends.hear(Beat)
    ends.clock.failures = 1
    async with asyncio.timeout(10):
        while not faults:
            await asyncio.sleep(0.01)
    ends.drain()
    assert (await ends.hear(Beat)).clock == "trusted"
    asyncio.get_running_loop().set_exception_handler(None)


async def test_a_worker_that_hears_nothing_any_more_is_let_go(open_ends, monkeypatch):
    monkeypatch.setattr(lines_room, "UNHEARD_BYTES_MAX", 1 << 20)
    ends = await open_ends()
    async with asyncio.timeout(30):
        while not ends.forgotten:
            ends.line.given(1, 0, b"x" * 4_096)
            await asyncio.sleep(0)
            assert ends.transport.get_write_buffer_size() <= (1 << 20) + 8_192
    assert ends.forgotten == [ends.line]
    assert ends.lines.serving == 0
