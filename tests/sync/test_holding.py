"""A node that holds a part of the city, and the real platform over HTTP."""

import asyncio
import time
from types import SimpleNamespace

import pytest

from central import registry
from central.registry import NewCredential
from edge.bootstrap import SnapshotBuilder
from edge.cache.selective import SelectiveStore
from edge.config import Central, EdgeConfig
from edge.config import Holding as HoldingConfig
from edge.errors import ConfigError
from edge.holding import Holding, settle_mode
from edge.metrics import NodeMetrics
from edge.parts import open_asking
from edge.pipeline.arrivals import ArrivalsShown
from edge.pipeline.calls import ArrivalsCall, CentralUnreachable, SceneForbidden, TermInvalid
from edge.pipeline.pace import RateExceeded
from edge.protocol.records import GateRecord, Status
from edge.sync.state import load_base, load_enrolment
from kanhe.demo.city import credentials_of
from kanhe.demo.people import PEOPLE
from kanhe.made_up_city import credential_id, holder_id
from tests.sync import test_bootstrap as whole
from tests.sync.test_bootstrap import DEADLINE_S, HOLDERS, KEY, REVOKED

city = whole.city
GATE = GateRecord(gate_id="g1", secret_hash=bytes(32), scenes=("hotel.checkin",))


def number(n: int) -> str:
    return f"330203{n:012d}"


class Clock:
    """The machine's clock, set ahead by the test."""

    def __init__(self) -> None:
        self.ahead_s, self.state = 0.0, "trusted"

    def now_s(self) -> float:
        return time.time() + self.ahead_s


class Node(whole.Node):
    def __init__(self, city, folder) -> None:
        super().__init__(city, folder)
        self.store.close()
        self.store = SelectiveStore(folder / "cache", KEY.derive)
        self.clock, self.noted = Clock(), []
        self.config = EdgeConfig(
            data_dir=folder, central=Central(lookup_ms=3_000),
            holding=HoldingConfig(mode="arrivals", ttl_s=60, arrivals_per_hour=100))

    @property
    def builder(self) -> SnapshotBuilder:
        return SnapshotBuilder(
            url=self.city.url, token=lambda: self.enrolment.token, authority=None, key=KEY,
            store=self.store, folder=self.folder / "bootstrap",
            regions=self.store.regions)

    async def start(self) -> None:
        settle_mode(self.config, self.store)
        await super().start()
        self.metrics = NodeMetrics("test")
        self.holding, self.demand, self.arrivals, _ = open_asking(
            self.config, self.client, self.follower, self.store, self.clock, lambda: self.trust,
            self.metrics, self.note)
        await self.holding.sweep()

    async def note(self, event, detail) -> None:
        self.noted.append((event, detail))

    async def expect(self, *numbers: str, until_s=None, gate=GATE) -> ArrivalsShown:
        return await self.arrivals.fetch(ArrivalsCall(
            gate=gate, scene="hotel.checkin", numbers=numbers, until_s=until_s,
            deadline_s=time.monotonic() + 5.0))

    async def wait(self, holds) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not holds():
                await asyncio.sleep(0.02)

    def counted(self, text: str) -> bool:
        self.metrics._kept.clear()
        return text in self.metrics.page()[0].decode()


@pytest.fixture
async def node(city, tmp_path):
    node = Node(city, tmp_path / "edge")
    await node.enrol()
    yield node
    await node.stop()


async def on(node: Node, mode: str) -> Node:
    node.config = EdgeConfig(
        data_dir=node.folder, central=Central(lookup_ms=3_000),
        holding=HoldingConfig(mode=mode, ttl_s=60, arrivals_per_hour=100))
    await node.start()
    await node.online()
    return node


async def test_node_takes_of_a_snapshot_only_what_is_of_nobody(city, node):
    await on(node, "demand")
    counts = node.store.counts()
    assert (counts["credentials"], counts["references"], counts["status"]) == (0, 0, 1)
    assert "hotel.checkin" in node.trust.policies
    assert node.trust.cursor == node.store.cursor() > whole.CHANGES
    parts = city.platform.snapshots.newest.parts
    fetched = {part.digest for part in parts if part.key == 0}
    assert len(fetched) < len(parts)
    assert len(city.faults.asked) == len(fetched)


@pytest.mark.parametrize("mode", ["arrivals", "demand"])
async def test_shown_credential_is_asked_for_and_ends_with_its_time(node, mode):
    await on(node, mode)
    wanted = credential_id(7, 1)
    await node.demand.want(wanted)
    assert node.store.credential(wanted).holder_id == holder_id(7)
    assert node.store.reference(holder_id(7), "dlib-v1") is not None
    assert node.counted('kanhe_demand_lookups_total{result="found"} 1.0')
    assert node.holding.shown.entries == 1
    await node.demand.want(bytes(16))
    assert node.counted('kanhe_demand_lookups_total{result="unknown"} 1.0')
    node.clock.ahead_s = 61
    await node.holding.sweep()
    assert node.store.credential(wanted) is None
    assert node.counted('kanhe_holding_lapsed_total{why="time"} 1.0')


async def test_clock_that_can_not_be_believed_makes_nothing_lapse(node):
    await on(node, "demand")
    await node.demand.want(credential_id(7, 1))
    node.clock.ahead_s, node.clock.state = 9_999, "untrusted"
    await node.holding.sweep()
    assert node.store.credential(credential_id(7, 1)) is not None


async def test_expected_holders_are_held_until_their_time_and_only_counted(node):
    await on(node, "arrivals")
    until_s = int(time.time()) + 3_600
    answer = await node.expect(
        number(1), number(2), " " + number(2), "no such number", until_s=until_s)
    assert answer == ArrivalsShown(named=3, asked=3, found=2, not_found=1, until_s=until_s)
    assert node.store.counts()["credentials"] == 6
    assert len(node.store.credentials_of(holder_id(2))) == 3
    assert node.store.faces == 2
    assert node.noted == [("arrivals.fetched", {
        "gate": "g1", "scene": "hotel.checkin", "actor": "", "named": 3, "asked": 3, "found": 2})]
    node.clock.ahead_s = 61
    await node.holding.sweep()
    assert node.store.counts()["credentials"] == 6
    node.clock.ahead_s = 3_601
    await node.holding.sweep()
    assert node.store.counts() == {"credentials": 0, "references": 0, "status": 1}
    assert node.counted('kanhe_arrivals_numbers_total{result="found"} 2.0')


async def test_long_list_is_asked_for_some_at_a_time(node):
    await on(node, "arrivals")
    answer = await node.expect(*(number(n) for n in range(HOLDERS + 30)))
    assert (answer.named, answer.asked, answer.found) == (HOLDERS + 30, HOLDERS + 30, HOLDERS)
    with pytest.raises(RateExceeded):
        await node.expect(*(number(n) for n in range(31)))


async def test_list_of_what_can_not_be_is_refused(node):
    await on(node, "arrivals")
    for until_s in (int(time.time()) - 1, int(time.time()) + 15 * 86_400):
        with pytest.raises(TermInvalid, match="until_s"):
            await node.expect(number(1), until_s=until_s)
    with pytest.raises(SceneForbidden):
        await node.expect(number(1), gate=GateRecord(
            gate_id="g2", secret_hash=bytes(32), scenes=()))
    assert node.store.terms == 0


async def test_platform_out_of_reach_is_said_and_nothing_is_believed_unknown(city, node):
    await on(node, "arrivals")
    await city.server.close()
    with pytest.raises(CentralUnreachable):
        await node.expect(number(1))
    assert node.counted('kanhe_arrivals_numbers_total{result="failed"} 1.0')
    await node.wait(lambda: node.trust.mode == "offline")
    with pytest.raises(CentralUnreachable):
        await node.expect(number(1))
    await node.demand.want(credential_id(7, 1))
    assert node.counted('kanhe_demand_lookups_total{result="offline"} 1.0')


async def test_change_to_what_is_held_comes_with_the_feed_and_others_do_not(city, node):
    await on(node, "arrivals")
    await node.expect(number(1))
    fields = credentials_of(PEOPLE[0])["resident_id"]

    def work(tx):
        registry.set_status(tx, credential_id(1, 0).hex(), "suspended", "lost")
        registry.set_status(tx, credential_id(9, 0).hex(), "revoked", "lost")
        return [registry.issue(tx, NewCredential(
            holder_id=holder_id(n).hex(), type="resident_id", fields=fields))
            for n in (1, 9)]

    mine, other = map(bytes.fromhex, await city.platform.database.run(work))
    await node.wait(lambda: node.store.status(credential_id(1, 0)) is not None)
    await node.wait(lambda: node.store.credential(mine) is not None)
    head = await city.platform.database.run(lambda tx: tx.head())
    await node.wait(lambda: node.store.cursor() == head)
    assert node.store.credential(other) is None
    assert node.store.status(credential_id(9, 0)).status is Status.REVOKED
    assert len(node.store.credentials_of(holder_id(1))) == 4


async def test_terms_outlive_a_restart_and_lapse_at_its_start(node):
    await on(node, "demand")
    await node.demand.want(credential_id(7, 1))
    await node.follower.stop()
    await node.client.close()
    node.store.close()
    node.follower, node.store = None, SelectiveStore(node.folder / "cache", KEY.derive)
    node.clock.ahead_s = 61
    await on(node, "demand")
    assert (node.store.terms, node.store.credential(credential_id(7, 1))) == (0, None)


async def test_what_a_snapshot_took_the_place_of_is_asked_for_again(city, node):
    await on(node, "demand")
    await node.demand.want(credential_id(7, 1))
    await node.demand.want(REVOKED)
    await city.platform.snapshots.make()
    built = await node.builder.build(await node.order())
    await node.follower.believer.adopt(built)
    assert node.store.counts()["credentials"] == 0
    await node.holding.ask_again()
    assert node.store.credential(credential_id(7, 1)) is not None
    assert node.store.standing(REVOKED)[1].status is Status.REVOKED
    assert node.store.owed(50) == []
    node.clock.ahead_s = 61
    await node.holding.sweep()
    assert node.store.terms == 0


async def test_from_a_part_to_everything_the_feed_is_taken_in_from_its_beginning(node):
    await on(node, "demand")
    await node.demand.want(credential_id(7, 1))
    issued_s = node.follower.believer.mark.issued_s
    await node.follower.stop()
    await node.client.close()
    node.trust = None
    await on(node, "all")
    assert node.store.counts()["credentials"] == 3 * HOLDERS
    assert (node.store.terms, node.holding.shown.entries_max) == (0, None)
    assert load_base(node.store, load_enrolment(node.store)).mark.issued_s >= issued_s
    assert (await node.expect(number(1))).until_s is None
    await node.holding.sweep()
    assert node.store.counts()["credentials"] == 3 * HOLDERS


def test_demand_without_a_deadline_is_refused_with_what_to_do(tmp_path):
    store = SelectiveStore(tmp_path / "cache", KEY.derive)
    try:
        with pytest.raises(ConfigError, match=r"central\.lookup_ms"):
            settle_mode(EdgeConfig(holding=HoldingConfig(mode="demand")), store)
    finally:
        store.close()


async def test_holding_keeps_sweeping_after_a_fault(monkeypatch):
    swept = []

    class Store:
        def __init__(self) -> None:
            self.lapsed: dict[str, int] = {}

        def lapse(self, now):
            swept.append(now)
            if len(swept) == 2:
                raise RuntimeError("a fault of ours")
            return 0

    class Believer:
        async def beside(self, work):
            return work()

    monkeypatch.setattr("edge.holding.SWEEP_S", 0.01)
    holding = Holding(
        config=HoldingConfig(mode="arrivals"), store=Store(), believer=Believer(), lookups=None,
        clock=Clock(), trust=lambda: SimpleNamespace(mode="online"), count=lambda *_: None)
    await holding.start()
    async with asyncio.timeout(DEADLINE_S):
        while len(swept) < 4:
            await asyncio.sleep(0.01)
    await holding.stop()
