"""Following on the real store: what was believed is there, and only that, after a restart."""

from edge.cache.store import LmdbStore
from edge.node_key import NodeKey
from edge.protocol.records import Status
from tests.fakes.city import credential, epoch, gate, id_of, policy
from tests.sync.node import TODAY, Node

KEY = NodeKey(bytes(range(32)))


async def test_belief_survives_on_the_real_store(central, clock, tmp_path):
    node = Node(central, clock)
    node.store = LmdbStore(tmp_path / "store", KEY.derive)
    await node.enrol()
    await node.start()
    await node.settled()
    await central.grant(credential("ma"))
    await central.revoke("ma")
    await node.until(lambda trust: trust.cursor == 5)
    assert node.store.status(id_of("ma")).status is Status.REVOKED
    before = node.trust
    await node.stop()
    node.store.close()

    await central.go_down()
    clock.now_s += 30
    node.store = LmdbStore(tmp_path / "store", KEY.derive)
    await node.start()
    assert node.trust.mode == "offline"
    assert node.trust.cursor == 5
    assert node.trust.policies == {"hotel.checkin": policy()}
    assert node.trust.gates == {"g1": gate()}
    assert node.trust.keys.key_epochs == (TODAY - 1, TODAY, TODAY + 1)
    assert node.trust.status_as_of_s == before.status_as_of_s
    assert node.store.credential(id_of("ma")) == credential("ma")

    await central.come_back()
    await central.restore("ma")
    await central.make_epochs(epoch(TODAY + 2))
    await node.settled()
    assert node.store.status(id_of("ma")) is None
    assert [keys.key_epoch for keys in node.store.epochs()] == list(range(TODAY - 1, TODAY + 3))
    await node.stop()
    node.store.close()


async def test_token_and_keys_are_not_on_the_disk_in_clear(central, clock, tmp_path):
    node = Node(central, clock)
    node.store = LmdbStore(tmp_path / "store", KEY.derive)
    enrolment = await node.enrol()
    await node.start()
    await node.settled()
    await node.stop()
    node.store.close()
    on_disk = b"".join(path.read_bytes() for path in (tmp_path / "store").iterdir())
    assert enrolment.token.encode() not in on_disk
    for day in (TODAY - 1, TODAY, TODAY + 1):
        assert epoch(day).master not in on_disk
        assert epoch(day).seal_private not in on_disk
