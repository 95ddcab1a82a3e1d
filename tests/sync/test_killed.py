"""Kill the node at any moment, take the platform away: nothing is lost, nothing doubled."""

import asyncio
import random
import sys
from pathlib import Path

from edge.audit.journal import FileJournal
from edge.cache.store import LmdbStore
from edge.hotpath.merkle import hash_leaf
from edge.node_key import load_or_create_node_key
from edge.protocol.records import Status
from edge.sync.client import CentralClient
from edge.sync.enrol import enrol
from edge.sync.shipper import Shipper
from tests.fakes.city import id_of
from tests.sync.node import DEADLINE_S, NOW_S, Node

KILLS = 5
ROOT = Path(__file__).resolve().parents[2]


async def enrol_folder(central, folder):
    key = load_or_create_node_key(folder / "node.key")
    store = LmdbStore(folder / "store", key.derive)
    client = CentralClient(central.url)
    enrolment = await enrol(
        client, store, code=central.new_code(), name="victim", sign_public=key.sign_public,
        seal_public=key.seal_public)
    await client.close()
    store.close()
    return key, enrolment


async def live_and_die(central, folder, chance):
    """Let the node live until it promised some records, then kill it; give its promises."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.sync.victim", str(folder), central.url, str(NOW_S),
        cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    promised = {}
    records = chance.randrange(5, 60)
    async with asyncio.timeout(3 * DEADLINE_S):
        while len(promised) < records:
            line = await child.stdout.readline()
            assert line, "the node ended by itself"
            index, leaf = line.split()
            promised[int(index)] = leaf.decode()
            if len(promised) == records // 2:
                await central.revoke(f"holder-{len(central.log)}")
                if chance.random() < 0.5:
                    await central.go_down()
                    await central.come_back()
    child.kill()
    rest = (await child.stdout.read()).decode().splitlines()
    await child.wait()
    # The last line may have been cut by the kill; what is whole was promised.
    for index, leaf in (line.split() for line in rest if len(line.split()) == 2):
        if len(leaf) == 64:
            promised[int(index)] = leaf
    return promised


async def test_killed_node_loses_no_promise_and_doubles_none(central, clock, tmp_path):
    chance = random.Random(7)
    key, enrolment = await enrol_folder(central, tmp_path)
    promised = {}
    for _ in range(KILLS):
        fresh = await live_and_die(central, tmp_path, chance)
        assert not promised.keys() & fresh.keys()
        promised |= fresh

    journal = FileJournal(tmp_path / "journal", key.signing)
    client = CentralClient(central.url, token=enrolment.token)
    shipper = Shipper(central=client, journal=journal)
    await shipper.start()
    async with asyncio.timeout(DEADLINE_S):
        while journal.acknowledged < journal.size:
            await asyncio.sleep(0.01)
    await shipper.stop()
    await client.close()
    held = central.nodes[enrolment.node_id].journal
    assert len(held) == journal.size
    assert {index: hash_leaf(held[index]).hex() for index in promised} == promised
    journal.close()


async def test_killed_node_believes_every_change_once_it_is_back(central, clock, tmp_path):
    chance = random.Random(11)
    key, enrolment = await enrol_folder(central, tmp_path)
    for _ in range(2):
        await live_and_die(central, tmp_path, chance)
    store = LmdbStore(tmp_path / "store", key.derive)
    node = Node(central, clock)
    node.store, node.seal, node.enrolment = store, key.sealing, enrolment
    await node.start()
    trust = await node.settled()
    assert store.cursor() == trust.cursor == len(central.log)
    for number in range(3, len(central.log)):
        assert store.status(id_of(f"holder-{number}")).status is Status.REVOKED
    await node.stop()
    store.close()
