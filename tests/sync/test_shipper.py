"""Shipping: in order, compared, and neither lost nor doubled by a kill of either side."""

import asyncio

import pytest

from edge.errors import CentralError
from edge.hotpath.checkpoint import sign_checkpoint
from edge.hotpath.merkle import Frontier, hash_leaf
from edge.node_key import NodeKey
from edge.protocol.journal import JournalUpload
from edge.sync.client import CentralClient
from edge.sync.ports import ShipAnswer
from edge.sync.shipper import Shipper, ShipperOptions
from tests.fakes.memory_journal import MemoryJournal
from tests.sync.node import DEADLINE_S, Node

QUICK = ShipperOptions(
    records_max=7, bytes_max=200, poll_s=0.01, retry_first_s=0.01, retry_max_s=0.02,
    diverged_max_s=0.02)


def some(count, start=0):
    return [b"record %06d" % number for number in range(start, start + count)]


async def eventually(holds):
    async with asyncio.timeout(DEADLINE_S):
        while not holds():
            await asyncio.sleep(0.005)


@pytest.fixture
async def enrolled(central, clock):
    node = Node(central, clock)
    return await node.enrol()


@pytest.fixture
async def client(central, enrolled):
    client = CentralClient(central.url, token=enrolled.token)
    yield client
    await client.close()


@pytest.fixture
def journal(enrolled):
    return MemoryJournal(enrolled.node_id)


@pytest.fixture
async def shipper(client, journal):
    shipper = Shipper(central=client, journal=journal, options=QUICK, jitter=lambda: 0.0)
    await shipper.start()
    yield shipper
    await shipper.stop()


@pytest.fixture
def held(central, enrolled):
    return central.nodes[enrolled.node_id].journal


async def test_records_arrive_in_order_and_are_acknowledged(shipper, journal, held):
    journal.records += some(50)
    shipper.wake()
    await eventually(lambda: journal.acknowledged == 50)
    assert held == journal.records
    await eventually(lambda: shipper.status.state == "idle")


async def test_lost_answer_doubles_nothing(shipper, journal, central, held):
    central.lose_answers = 3
    journal.records += some(30)
    await eventually(lambda: journal.acknowledged == 30)
    assert held == journal.records


async def test_killed_node_goes_on_from_what_was_acknowledged(client, journal, held, central):
    journal.records += some(20)
    held.extend(some(12))
    journal.acknowledged = 5
    shipper = Shipper(central=client, journal=journal, options=QUICK)
    await shipper.start()
    await eventually(lambda: journal.acknowledged == 20)
    await shipper.stop()
    assert held == journal.records


async def test_platform_restored_from_a_backup_is_filled_up_again(
    shipper, journal, central, enrolled, held
):
    journal.records += some(20)
    await eventually(lambda: journal.acknowledged == 20)
    central.lose_journal_after(enrolled.node_id, 4)
    journal.records += some(5, start=20)
    await eventually(lambda: len(held) == 25)
    assert held == journal.records
    await eventually(lambda: journal.acknowledged == 25)


async def test_other_content_is_never_skipped(shipper, journal, central, enrolled, held):
    journal.records += some(3)
    await eventually(lambda: journal.acknowledged == 3)
    held.append(b"a record that this node never wrote")
    journal.records += some(4, start=3)
    await eventually(lambda: shipper.status.state == "diverged")
    assert journal.acknowledged == 3
    assert "other content" in shipper.status.last_error
    held.pop()
    await eventually(lambda: journal.acknowledged == 7)
    assert held == journal.records


async def test_journal_that_became_shorter_is_said_and_not_shipped(client, journal, central):
    journal.records += some(5)
    journal.acknowledged = 9
    shipper = Shipper(central=client, journal=journal, options=QUICK, jitter=lambda: 0.0)
    await shipper.start()
    await eventually(lambda: shipper.status.state == "diverged")
    journal.records += some(10, start=5)
    await shipper.stop()
    assert "restored" in shipper.status.last_error
    assert "/v1/journal" not in central.asked


async def test_outage_is_waited_out(shipper, journal, central, held):
    await central.go_down()
    journal.records += some(10)
    await eventually(lambda: shipper.status.state == "waiting")
    assert journal.acknowledged == 0
    await central.come_back()
    await eventually(lambda: journal.acknowledged == 10)
    assert held == journal.records


async def test_new_records_do_not_shorten_the_pause_of_an_outage(client, journal, central):
    patient = ShipperOptions(retry_first_s=DEADLINE_S, retry_max_s=DEADLINE_S)
    await central.go_down()
    journal.records += some(1)
    shipper = Shipper(central=client, journal=journal, options=patient, jitter=lambda: 1.0)
    await shipper.start()
    await eventually(lambda: shipper.status.state == "waiting")
    await central.come_back()
    for _ in range(20):
        shipper.wake()
        await asyncio.sleep(0)
    assert "/v1/journal" not in central.asked
    await shipper.stop()


class Liar:
    """A platform that claims whatever it is told to."""

    def __init__(self, *claims: ShipAnswer) -> None:
        self.claims = list(claims)
        self.uploads: list[JournalUpload] = []

    async def ship(self, upload: JournalUpload) -> ShipAnswer:
        self.uploads.append(upload)
        if not self.claims:
            raise CentralError("gone")
        return self.claims.pop(0)


@pytest.mark.parametrize(("claimed", "acknowledged"), [(2**40, 7), (3, 3), (0, 0), (-5, 0)])
async def test_only_what_was_sent_is_acknowledged_whatever_is_claimed(
    journal, claimed, acknowledged
):
    journal.records += some(20)
    liar = Liar(ShipAnswer(claimed, conflict=False))
    shipper = Shipper(central=liar, journal=journal, options=QUICK, jitter=lambda: 0.0)
    await shipper.start()
    await eventually(lambda: len(liar.uploads) >= 2)
    await shipper.stop()
    assert journal.acknowledged == acknowledged
    assert liar.uploads[1].first == acknowledged


async def test_rewinding_before_what_is_retired_says_so(journal):
    journal.records += some(20)
    journal.acknowledged, journal.retired = 10, 10
    liar = Liar(ShipAnswer(4, conflict=True))
    shipper = Shipper(central=liar, journal=journal, options=QUICK, jitter=lambda: 0.0)
    await shipper.start()
    await eventually(lambda: "retired" in shipper.status.last_error)
    await shipper.stop()
    assert journal.acknowledged == 10
    assert len(liar.uploads) == 1


KEY = NodeKey(bytes([7] * 32)).signing


def checkpoint_of(records):
    tree = Frontier()
    for record in records:
        tree.append(hash_leaf(record))
    return sign_checkpoint(tree, 1, KEY)


async def test_what_arrived_is_counter_signed(shipper, journal, held):
    journal.records += some(20)
    journal.points.append(checkpoint_of(some(8)))
    shipper.wake()
    await eventually(lambda: [said.size for said in journal.countersigned] == [8])
    journal.points.append(checkpoint_of(some(20)))
    shipper.wake()
    await eventually(lambda: [said.size for said in journal.countersigned] == [8, 20])
    assert shipper.status.state == "idle"


async def test_a_checkpoint_of_another_history_is_diverged_and_says_so(shipper, journal):
    journal.records += some(20)
    journal.points.append(checkpoint_of(some(20, start=1)))
    shipper.wake()
    await eventually(lambda: shipper.status.state == "diverged")
    assert "counter-sign" in shipper.status.last_error
    assert journal.acknowledged == 20
    assert not journal.countersigned


async def test_platform_that_lost_records_gets_them_before_it_signs(
    shipper, journal, held, central, enrolled
):
    journal.records += some(20)
    shipper.wake()
    await eventually(lambda: journal.acknowledged == 20)
    central.lose_journal_after(enrolled.node_id, 5)
    journal.points.append(checkpoint_of(some(20)))
    shipper.wake()
    await eventually(lambda: [said.size for said in journal.countersigned] == [20])
    assert held == journal.records
