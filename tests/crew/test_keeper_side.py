"""What the keeper does as soon as it has workers, and what it hears of an answer that failed."""

import asyncio
import time
from types import SimpleNamespace

import pytest

from edge.access.listening import Wire as Serving
from edge.access.tls import Tls
from edge.clock.kernel import anchor_s
from edge.config import EdgeConfig, Limits, Workers
from edge.crew.crew import open_crew
from edge.crew.keeper import KeeperLine
from edge.crew.lines import KeeperParts, Line, Lines
from edge.crew.words import Beat, Frames, decode_to_keeper
from edge.crew.worker import Answering
from edge.errors import CapacityError
from edge.metrics import NodeMetrics
from edge.pipeline.together import GATHER_BESIDE_S, GATHER_S
from tests.crew.test_replaced import BODY, GATE, Wire
from tests.pipeline.desk import Desk


async def test_the_keepers_own_codes_gather_longer_once_there_are_workers(tmp_path):
    desk = Desk(tmp_path)
    desk.clock.now = time.time()
    config = EdgeConfig(data_dir=tmp_path, workers=Workers(processes=1))
    crew = open_crew(
        config, verifier=desk.verifier, guard=desk.guard, journal=desk.journal,
        observer=desk.seen, server=SimpleNamespace(passed=None), clock=desk.clock,
        store=SimpleNamespace(replaced=0), trust=lambda: desk.trust, problem=lambda *_: None,
        refused=lambda *_: None, insecure=True)
    assert desk.verifier._together.gather_s == GATHER_S
    await crew.start(asyncio.Protocol, 0, Serving(Tls(), "127.0.0.1", tmp_path, insecure=True))
    try:
        assert desk.verifier._together.gather_s == GATHER_BESIDE_S
    finally:
        await crew.stop()
        desk.close()


async def test_the_keeper_hears_of_an_answer_that_its_worker_cannot_make():
    heard = []
    settler = SimpleNamespace(unmade=lambda asker, key: heard.append((asker, key)))
    line = Line(Wire(), Lines(KeeperParts(
        settler=settler, call=lambda *_: None, clock=SimpleNamespace(),
        scope=lambda: "node", problem=lambda *_: None, refused=lambda *_: None), lambda: None), 1)
    wire = Wire()
    wire.is_closing = lambda: False
    worker = KeeperLine(1)
    worker._transport = wire
    worker.unmade(b"k" * 16, RuntimeError("a fault of ours"))
    worker._flush()
    line.take(wire.said[4:])
    assert heard == [(line, b"k" * 16)]


async def test_the_keeper_counts_what_its_worker_refused_by_gate():
    metrics = NodeMetrics("test")
    line = Line(Wire(), Lines(KeeperParts(
        settler=SimpleNamespace(), call=lambda *_: None, clock=SimpleNamespace(),
        scope=lambda: "node", problem=metrics.problem, refused=metrics.refused),
        lambda: None), 1)
    wire = Wire()
    wire.is_closing = lambda: False
    worker = KeeperLine(1)
    worker._transport = wire
    takes = SimpleNamespace(takes=lambda *_: True, take=lambda _, answered: None)
    answering = Answering(takes, worker, Limits(gate_rate_per_s=0.001, gate_burst=3))
    responses = []
    for _ in range(10):
        answering.quick(GATE, BODY, responses.append)
    assert all(b" 429 " in response for response in responses)
    worker._flush()
    line.take(wire.said[4:])
    assert metrics.tally.gates["g1"].refused == len(responses) == 7
    worker._flush()
    (said,) = list(Frames().feed(wire.said))[1:]
    assert decode_to_keeper(said).refused == {}


async def test_a_worker_whose_keeper_is_gone_refuses_at_once_what_comes_before_it_ends():
    worker, told = KeeperLine(1), []
    worker._transport = Wire()
    worker._transport.is_closing = lambda: True
    worker._beat, worker._heard_s = Beat("trusted", time.time() - anchor_s(), "node"), anchor_s()
    worker.check()
    worker.call("g1", b"{}", told.append)
    worker.connection_lost(None)
    assert [str(error) for error in told] == ["the node is ending"]
    with pytest.raises(CapacityError, match="ending"):
        worker.check()
    with pytest.raises(CapacityError, match="ending"):
        worker.call("g1", b"{}", told.append)
