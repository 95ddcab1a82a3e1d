"""A judgement by a store that was replaced isn't settled, and its gate hears nothing of it."""

import asyncio
from types import SimpleNamespace

from edge.config import Limits
from edge.crew.lines import KeeperParts, Line, Lines
from edge.crew.words import Asked, Frames, Turn, decode_to_worker, error_of, framed
from edge.crew.worker import Answering
from edge.protocol.records import GateRecord

GATE = GateRecord(gate_id="g1", secret_hash=bytes(32), scenes=("code",))
BODY = b'{"scene":"code","presentation":"KH1:BB8","request_id":"r1"}'


class Wire:
    """A transport whose bytes stay here."""

    def __init__(self) -> None:
        self.said = b""

    def write(self, data: bytes) -> None:
        self.said += data

    def get_write_buffer_size(self) -> int:
        return 0


class Judges:
    """A verifier whose judgements come to an error."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def takes(self, gate, scene) -> bool:
        return True

    def take(self, call, answered) -> None:
        answered(self._error)


class Keeper:
    """A keeper that answers whole calls."""

    def __init__(self) -> None:
        self.problems = []

    def call(self, gate_id: str, body: bytes, answered) -> None:
        answered(b"answered: " + body)

    def refused(self, gate_id: str) -> None:
        raise AssertionError("within its rate")

    def problem(self, status: int) -> None:
        self.problems.append(status)


async def refused_by_the_keeper() -> Exception:
    """Ask as a worker that didn't hear yet that the store is another one."""
    wire = Wire()
    lines = Lines(KeeperParts(
        settler=SimpleNamespace(), call=lambda *_: None, clock=SimpleNamespace(),
        scope=lambda: "node", problem=lambda *_: None, refused=lambda *_: None), lambda: None)
    lines.store = 2
    line = Line(wire, lines, 1)
    line.take(framed(Turn(1, [Asked(7, [b"", b""], {})]))[4:])
    await asyncio.sleep(0)
    (said,) = (decode_to_worker(body) for body in Frames().feed(wire.said))
    assert [(refused.number, refused.at) for refused in said.refused] == [(7, 0), (7, 1)]
    return error_of(said.refused[1])


async def test_a_call_judged_by_a_replaced_store_is_the_keepers_to_answer():
    keeper = Keeper()
    answering = Answering(Judges(await refused_by_the_keeper()), keeper, Limits())
    responses = []
    answering.quick(GATE, BODY, responses.append)
    assert responses == [b"answered: " + BODY]
    assert keeper.problems == []
