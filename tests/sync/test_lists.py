"""Status lists beside the feed: fetched, kept over a restart, asked for by tag, out of its way."""

import asyncio

import msgspec
import pytest

from edge.protocol.feed import Root, list_uri
from edge.protocol.records import Status
from edge.sync.client import CentralClient
from edge.sync.envelope import open_envelope, parse_body
from edge.sync.lists import ListKeeper, ListOptions
from tests.fakes.central_simulator import CentralSimulator
from tests.fakes.feed_forge import LOG
from tests.fakes.memory_store import MemoryStore
from tests.sync.node import Clock

QUICK = ListOptions(every_s=0.02, retry_first_s=0.01, retry_max_s=0.02)
URI = list_uri(LOG, 0)


class Shelf:
    """A keeper before the simulator, and the last lists that it published."""

    def __init__(self, central, clock, store=None) -> None:
        self.central, self.clock = central, clock
        self.store = store or MemoryStore()
        self.client = CentralClient(central.url)
        self.seen = {}
        self.keeper = ListKeeper(
            source=self.client, store=self.store, root=self.root, publish=self._publish,
            now=clock, options=QUICK, jitter=lambda: 0.0)

    def root(self):
        return parse_body(open_envelope(self.central.forge.roots[-1]), Root)

    def _publish(self, lists) -> None:
        self.seen = lists

    async def until(self, holds) -> None:
        async with asyncio.timeout(10):
            while not holds():
                await asyncio.sleep(0.005)

    def status(self, index, uri=URI):
        held = self.seen.get(uri)
        return None if held is None else held.status(index, self.clock())

    async def stop(self) -> None:
        await self.keeper.stop()
        await self.client.close()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def shelf(clock):
    async with CentralSimulator(clock) as central:
        shelf = Shelf(central, clock)
        await shelf.keeper.start()
        yield shelf
        await shelf.stop()


async def test_lists_arrive_and_are_replaced_by_newer_ones(shelf, clock):
    assert shelf.status(1) is None
    shelf.central.list_statuses(0, 0)
    shelf.central.list_statuses(2, number=1)
    await shelf.until(lambda: len(shelf.seen) == 2)
    assert shelf.status(1) is Status.VALID
    assert shelf.status(0, list_uri(LOG, 1)) is Status.SUSPENDED
    clock.now_s += 1
    shelf.central.list_statuses(0, 1)
    await shelf.until(lambda: shelf.status(1) is Status.REVOKED)
    clock.now_s += 9
    assert shelf.keeper.age_s(clock()) == 10


async def test_a_list_that_did_not_change_is_not_sent_again(shelf):
    shelf.central.list_statuses(0)
    await shelf.until(lambda: shelf.seen)
    held, sent = shelf.seen, []
    shelf.central.tamper = lambda _, token: sent.append(token) or token
    shelf.central.asked.clear()
    await shelf.until(lambda: len(shelf.central.asked) > 6)
    assert shelf.seen is held
    assert not sent


async def test_lists_are_taken_up_again_after_a_restart_without_a_network(shelf, clock):
    shelf.central.list_statuses(0, 1)
    await shelf.until(lambda: shelf.seen)
    await shelf.stop()
    await shelf.central.go_down()
    again = Shelf(shelf.central, clock, shelf.store)
    await again.keeper.start()
    assert again.status(1) is Status.REVOKED
    await again.until(lambda: again.keeper.error)
    await again.stop()


async def test_an_outage_is_said_and_ends(shelf, clock):
    await shelf.central.go_down()
    await shelf.until(lambda: shelf.keeper.error)
    shelf.central.list_statuses(1)
    await shelf.central.come_back()
    await shelf.until(lambda: shelf.status(0) is Status.REVOKED)
    await shelf.until(lambda: not shelf.keeper.error)


async def test_what_a_withdrawn_key_signed_is_dropped(shelf, clock):
    shelf.central.list_statuses(0)
    await shelf.until(lambda: shelf.seen)
    shelf.central.rotate_root(keep=("root", "changes", "keys", "cards"))
    await shelf.until(lambda: not shelf.seen)
    shelf.central.list_statuses(0)
    await shelf.until(lambda: shelf.seen)


async def test_a_root_without_status_keys_has_no_lists(shelf):
    root = shelf.root()
    roles = {name: keys for name, keys in root.roles.items() if name != "status"}
    shelf.root = lambda: msgspec.structs.replace(root, roles=roles)
    keeper = ListKeeper(source=shelf.client, store=MemoryStore(), root=shelf.root,
                        publish=shelf._publish, now=shelf.clock, options=QUICK)
    await keeper.start()
    shelf.central.asked.clear()
    await shelf.keeper.stop()
    asked = len(shelf.central.asked)
    await asyncio.sleep(0.1)
    assert len(shelf.central.asked) == asked
    await keeper.stop()


async def test_a_full_disk_keeps_what_was_held_and_is_said(shelf, clock):
    shelf.central.list_statuses(0)
    await shelf.until(lambda: shelf.seen)
    shelf.store.full = True
    clock.now_s += 1
    shelf.central.list_statuses(1)
    await shelf.until(lambda: "space" in shelf.keeper.error)
    assert shelf.status(0) is Status.VALID
    shelf.store.full = False
    await shelf.until(lambda: shelf.status(0) is Status.REVOKED)
