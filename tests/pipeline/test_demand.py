"""Asking for what isn't held: once, in time, and never instead of a verdict."""

import asyncio
from types import SimpleNamespace

import pytest

from edge.errors import CentralError
from edge.pipeline.demand import AT_ONCE_MAX, Demand
from edge.protocol.feed import PutCredential
from tests.fakes.city import credential, id_of
from tests.fakes.memory_store import MemoryStore

MA = id_of("ma")


class Platform:
    """Answers look-ups when it is let, or fails."""

    def __init__(self) -> None:
        self.known = {MA: credential("ma")}
        self.asked: list[bytes] = []
        self.let = asyncio.Event()
        self.let.set()
        self.down = False

    async def look_up(self, *, credential_ids=(), numbers=(), within_s):
        self.asked += credential_ids
        await self.let.wait()
        if self.down:
            raise CentralError("it is down")
        found = [self.known[id_] for id_ in credential_ids if id_ in self.known]
        return len(found), tuple(PutCredential(item) for item in found)


class Into:
    def __init__(self, store) -> None:
        self.store = store

    async def hold(self, changes):
        self.store.hold(changes)


class Desk:
    def __init__(self, deadline_s=5.0) -> None:
        self.platform, self.store, self.mode = Platform(), MemoryStore(), "online"
        self.demand = Demand(
            held=self.store.credential, lookups=self.platform, into=Into(self.store),
            trust=lambda: SimpleNamespace(mode=self.mode), deadline_s=deadline_s)


async def test_credential_that_is_not_held_is_asked_for_and_then_held():
    desk = Desk()
    await desk.demand.want(MA)
    assert desk.store.credential(MA) == credential("ma")
    await desk.demand.want(MA)
    assert desk.platform.asked == [MA]
    assert (desk.demand.asked, desk.demand.found, desk.demand.failed) == (1, 1, 0)


async def test_many_who_want_the_same_wait_for_one_call():
    desk = Desk()
    desk.platform.let.clear()
    waiting = [asyncio.create_task(desk.demand.want(MA)) for _ in range(20)]
    await asyncio.sleep(0)
    desk.platform.let.set()
    await asyncio.gather(*waiting)
    assert desk.platform.asked == [MA]


async def test_offline_node_does_not_ask():
    desk = Desk()
    desk.mode = "offline"
    await desk.demand.want(MA)
    assert desk.platform.asked == []


async def test_answer_after_the_deadline_holds_nobody_up_and_is_there_the_next_time():
    desk = Desk(deadline_s=0.01)
    desk.platform.let.clear()
    await asyncio.wait_for(desk.demand.want(MA), 1.0)
    assert desk.store.credential(MA) is None
    desk.platform.let.set()
    await asyncio.sleep(0.01)
    assert desk.store.credential(MA) is not None


@pytest.mark.parametrize("fault", ["down", "unknown"])
async def test_platform_that_fails_or_does_not_know_leaves_it_unknown(fault):
    desk = Desk()
    desk.platform.down = fault == "down"
    desk.platform.known.clear()
    await desk.demand.want(MA)
    assert desk.store.credential(MA) is None
    assert desk.demand.failed == (fault == "down")


async def test_no_more_calls_at_once_than_the_bound():
    desk = Desk()
    desk.platform.let.clear()
    waiting = [asyncio.create_task(desk.demand.want(id_of(str(n)))) for n in range(40)]
    await asyncio.sleep(0)
    assert sum(task.done() for task in waiting) == 0 or len(desk.platform.asked) <= AT_ONCE_MAX
    await asyncio.sleep(0)
    assert len(desk.platform.asked) == AT_ONCE_MAX
    await desk.demand.stop()
    await asyncio.gather(*waiting)
