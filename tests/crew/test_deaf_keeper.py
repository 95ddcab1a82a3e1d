"""A keeper that doesn't read: what its worker gathers for it stays small, and no count is lost."""

import asyncio
import contextlib
import logging
import socket
from types import SimpleNamespace

import pytest
import uvloop

from edge.crew import keeper as keeper_room
from edge.crew.keeper import KeeperLine
from edge.crew.lines import KeeperParts, Line, Lines
from edge.crew.sums import Sums
from edge.crew.words import Frames, Hello, decode_to_keeper
from edge.metrics import NodeMetrics
from edge.tally import OTHER

UNREAD_BYTES_MAX = 16 * 1024
CALLS = 6_000
GATES = [f"g{number}" for number in range(12)]


class Ends:
    """A worker's line over a real socket, and a keeper that reads when it is told to."""

    def __init__(self) -> None:
        self.metrics, self.saw, self.asked = NodeMetrics("test"), [], []
        self.line = Line(None, Lines(KeeperParts(
            settler=SimpleNamespace(settle=lambda _, number, *more: self.asked.append(number)),
            call=None, clock=SimpleNamespace(saw=lambda *code: self.saw.append(code)),
            scope=lambda: "node", problem=self.metrics.problem, refused=self.metrics.refused),
            lambda: None), 1)
        self._frames = Frames()

    async def open(self) -> None:
        ours, self.theirs = socket.socketpair()
        self.theirs.setblocking(False)
        self.transport, self.worker = await asyncio.get_running_loop().create_unix_connection(
            lambda: KeeperLine(1), sock=ours)

    async def read(self) -> None:
        """Take all that the worker has said and still says."""
        for _ in range(5):
            await asyncio.sleep(0.01)
            with contextlib.suppress(BlockingIOError):
                while data := self.theirs.recv(1 << 20):
                    for body in self._frames.feed(data):
                        if not isinstance(decode_to_keeper(body), Hello):
                            self.line.take(body)
                    await asyncio.sleep(0)

    def close(self) -> None:
        self.transport.abort()
        self.theirs.close()


@pytest.fixture(params=[asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def played(request, monkeypatch):
    """Give a function that plays a scene with both ends, on either event loop."""
    monkeypatch.setattr(keeper_room, "UNREAD_BYTES_MAX", UNREAD_BYTES_MAX)
    monkeypatch.setattr(keeper_room, "LATER_S", 0.0)

    def play(scene) -> None:
        async def run() -> None:
            ends = Ends()
            await ends.open()
            try:
                await scene(ends)
            finally:
                ends.close()

        request.param(run())

    return play


async def refuse(ends: Ends) -> None:
    """Have calls refused, each in a turn of its own; what is unread must stay small."""
    for number in range(CALLS):
        ends.worker.refused(GATES[number % len(GATES)])
        ends.worker.problem(429)
        await asyncio.sleep(0)
        assert ends.transport.get_write_buffer_size() <= UNREAD_BYTES_MAX + 1_024


def test_counts_for_a_keeper_that_hangs_stay_small_and_come_whole_when_it_reads(played):
    async def scene(ends: Ends) -> None:
        await refuse(ends)
        await ends.read()
        gates = ends.metrics.tally.gates
        assert [gates[gate].refused for gate in GATES] == [CALLS // len(GATES)] * len(GATES)
        assert ends.metrics.tally.turned_away == CALLS
        assert f'kanhe_http_problems_total{{status="429"}} {CALLS}.0' in (
            ends.metrics.page()[0].decode())

    played(scene)


def test_gates_beyond_the_bound_are_counted_together(played, monkeypatch):
    monkeypatch.setattr(keeper_room, "REFUSED_GATES_MAX", 8)

    async def scene(ends: Ends) -> None:
        await refuse(ends)
        assert len(ends.worker._refused._counts) == 9
        await ends.read()
        gates = ends.metrics.tally.gates
        assert sum(gate.refused for gate in gates.values()) == CALLS
        assert gates[OTHER].refused

    played(scene)


def test_what_is_beyond_the_keys_of_a_sum_counts_as_other():
    sums = Sums(2, "other")
    for key in "abcadb":
        sums.add(key)
    assert sums.take() == {"a": 2, "b": 2, "other": 2}
    assert sums.take() == {}


def test_a_sighting_that_would_be_heard_late_is_left_out_and_said(played, caplog):
    async def scene(ends: Ends) -> None:
        ends.worker.saw(b"a" * 16, 1)
        await refuse(ends)
        for step in (2, 3):
            ends.worker.saw(b"b" * 16, step)
        await ends.read()
        ends.worker.saw(b"c" * 16, 4)
        await ends.read()
        assert ends.saw == [(b"a" * 16, 1), (b"c" * 16, 4)]

    with caplog.at_level(logging.WARNING):
        played(scene)
    said = [(record.message, getattr(record, "codes_unseen", None)) for record in caplog.records]
    assert said == [("keeper.deaf", None), ("keeper.hears", 2)]


def test_what_is_asked_while_the_keeper_hangs_is_heard_when_it_reads(played):
    async def scene(ends: Ends) -> None:
        await refuse(ends)
        ends.worker.keep([], {}, lambda _: None)
        await asyncio.sleep(0.01)
        await ends.read()
        assert ends.asked == [1]

    played(scene)
