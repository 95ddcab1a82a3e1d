"""Work in threads: in time or not at all, and gates take turns."""

import asyncio
import os
import threading
import time

import pytest

from edge.errors import CapacityError
from edge.pipeline.calls import DeadlineMissed
from edge.pipeline.pace import GatePace, RateExceeded
from edge.pipeline.workers import WorkerPool
from tests.pipeline.desk import OWNER, Desk


class Slow:
    """A pool of one thread, and what it did in which order."""

    def __init__(self, waiting_max: int = 8) -> None:
        self.pool = WorkerPool("test", 1, waiting_max)
        self.done: list[str] = []
        self.gate = threading.Event()

    def put(self, name: str, owner: str, *, within_s: float = 9.0) -> "asyncio.Task[None]":
        def work() -> None:
            self.gate.wait(5)
            self.done.append(name)

        return asyncio.create_task(self.pool.run(time.monotonic() + within_s, work, owner))

    async def let_go(self, *tasks) -> list:
        await asyncio.sleep(0)
        self.gate.set()
        return await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
def slow():
    slow = Slow()
    yield slow
    slow.gate.set()
    slow.pool.close()


async def test_gates_take_turns(slow):
    flood = [slow.put(f"a{n}", "a") for n in range(5)]
    await asyncio.sleep(0)
    others = [slow.put("b0", "b"), slow.put("c0", "c"), slow.put("b1", "b")]
    await slow.let_go(*flood, *others)
    # a0 ran when the others came; from then on each gate in its turn.
    assert slow.done == ["a0", "a1", "b0", "c0", "a2", "b1", "a3", "a4"]


async def test_a_full_queue_gives_way_to_a_gate_with_less_in_it(slow):
    flood = [slow.put(f"a{n}", "a") for n in range(9)]
    await asyncio.sleep(0)
    calm = slow.put("b0", "b")
    found = await slow.let_go(*flood, calm)
    assert [type(item) for item in found] == [type(None)] * 8 + [CapacityError, type(None)]
    assert slow.done[:3] == ["a0", "a1", "b0"]
    assert "a8" not in slow.done


async def test_the_flood_itself_and_work_of_the_node_displace_nobody(slow):
    flood = [slow.put(f"a{n}", "a") for n in range(9)]
    await asyncio.sleep(0)
    more, own = slow.put("a9", "a"), slow.put("x", "")
    found = await slow.let_go(*flood, more, own)
    assert [type(item) for item in found[9:]] == [CapacityError, CapacityError]
    assert slow.done == [f"a{n}" for n in range(9)]


async def test_work_that_would_come_too_late_is_refused_at_once_with_advice(slow):
    slow.gate.set()
    # The pool learns that such work takes some 50 ms.
    await slow.pool.run(time.monotonic() + 9, lambda: time.sleep(0.05))
    assert slow.pool.takes_s >= 0.05
    slow.gate.clear()
    running, waiting = slow.put("1", "a"), slow.put("2", "a")
    await asyncio.sleep(0)
    began = time.monotonic()
    with pytest.raises(CapacityError) as refused:
        await slow.pool.run(time.monotonic() + 0.1, lambda: None, "b")
    assert time.monotonic() - began < 0.04
    assert refused.value.retry_after_s >= 0.05
    await slow.let_go(running, waiting)


async def test_work_whose_turn_comes_too_late_is_not_begun(slow):
    first, late = slow.put("first", "a"), slow.put("late", "b", within_s=0.05)
    await asyncio.sleep(0.1)
    found = await slow.let_go(first, late)
    assert isinstance(found[1], DeadlineMissed)
    assert slow.done == ["first"]


async def test_one_slow_call_does_not_shut_the_pool_for_ever(slow):
    slow.gate.set()
    await slow.pool.run(time.monotonic() + 9, lambda: time.sleep(0.3))
    # By the estimate nothing could be done in 0.2 s; nobody else is there, so it is tried.
    assert await slow.pool.run(time.monotonic() + 0.2, lambda: 7, "a") == 7
    for _ in range(12):
        await slow.pool.run(time.monotonic() + 0.2, lambda: None, "a")
    assert slow.pool.takes_s < 0.05


async def test_work_whose_client_hung_up_is_dropped(slow):
    first, left, last = slow.put("1", "a"), slow.put("2", "b"), slow.put("3", "a")
    await asyncio.sleep(0)
    left.cancel()
    await slow.let_go(first, left, last)
    assert slow.done == ["1", "3"]
    assert slow.pool.waiting == 0


async def test_failures_reach_the_caller_and_the_pool_goes_on(slow):
    slow.gate.set()
    with pytest.raises(ZeroDivisionError):
        await slow.pool.run(time.monotonic() + 9, lambda: 1 // 0)
    assert await slow.pool.run(time.monotonic() + 9, lambda: 1) == 1


async def test_threads_of_faces_stand_back_behind_the_event_loop():
    pool = WorkerPool("test", 1, 1, niceness=3)
    here = os.getpriority(os.PRIO_PROCESS, 0)
    there = await pool.run(
        time.monotonic() + 9,
        lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
    assert (there, os.getpriority(os.PRIO_PROCESS, 0)) == (min(19, here + 3), here)
    pool.close()


@pytest.mark.parametrize("at_s,allowed", [(0.99, False), (1.0, True), (1.01, True)])
def test_a_rate_gives_back_one_call_after_its_time(at_s, allowed):
    now = [100.0]
    pace = GatePace(1.0, 3, 10.0, lambda: now[0])
    for _ in range(3):
        pace.take("a")
    with pytest.raises(RateExceeded) as refused:
        pace.take("a")
    assert refused.value.retry_after_s == pytest.approx(1.0)
    pace.take("b")
    now[0] += at_s
    if allowed:
        pace.take("a")
    with pytest.raises(RateExceeded):
        pace.take("a")


@pytest.mark.parametrize("rate_per_s,at_once,next_s", [
    (None, 16, 1 / 8), (8.0, 16, 1 / 8), (4.0, 8, 1 / 4), (0.25, 1, 4.0), (32.0, 64, 1 / 32),
    (1e6, 256, 1 / 128),  # beyond the node's bound of 128
    (0.0, 16, 1 / 8), (-1.0, 16, 1 / 8), (float("nan"), 16, 1 / 8),  # no rate: the node's own
])
def test_a_gates_own_rate_holds_within_the_nodes_bound(rate_per_s, at_once, next_s):
    pace = GatePace(8.0, 16, 128.0, lambda: 50.0)
    for _ in range(at_once):
        pace.take("a", rate_per_s)
    with pytest.raises(RateExceeded) as refused:
        pace.take("a", rate_per_s)
    assert refused.value.retry_after_s == pytest.approx(next_s)
    pace.take("b")


@pytest.fixture
def desk(tmp_path):
    desk = Desk(tmp_path)
    yield desk
    desk.close()


@pytest.mark.parametrize("scene,face", [("code", None), ("face", OWNER)])
async def test_an_answer_after_its_deadline_is_kept_for_the_same_request(desk, scene, face):
    """A 200 is never late; the verdict stands, and the same request gets it afterwards."""
    append = desk.journal.append

    async def slowly(record):
        receipt = await append(record)
        await asyncio.sleep(0.1)
        return receipt

    desk.journal.append = slowly
    call = desk.call(scene, face=face, request="late", deadline_s=time.monotonic() + 0.05)
    with pytest.raises(DeadlineMissed):
        await desk.verifier.verify(call)
    assert desk.journal.size == 1
    again = desk.call(scene, code=call.presentation, face=face, request="late")
    assert (await desk.verifier.verify(again)).answer.reason == "ok"
    assert desk.journal.size == 1
    assert await desk.reason(scene, face=face) == "presentation_replayed"
