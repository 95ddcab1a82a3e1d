"""A bundle brings the feed keys along, and opens whichever of them the node holds."""

import pytest

from central import feed, feed_keys
from central.nodes import revoke_node
from edge.node_key import NodeKey
from edge.protocol.feed import PutCredential, SealedFeedKey
from edge.sync.bundle import _Trial
from edge.sync.envelope import Refusal, Rule
from edge.sync.rules import Mark, RootOfTrust
from edge.sync.state import load_feed_keys
from kanhe.node_folder import open_node_folder
from tests.fakes.city import credential, id_of
from tests.fakes.feed_forge import Forge
from tests.offline.site import NOW_S, NodeSide
from tests.offline.test_bundle import _base

KEY = NodeKey(bytes(range(32)))


def held(node):
    with open_node_folder(node.config_file) as folder:
        return load_feed_keys(folder.store), folder.store.credential(id_of("ma"))


async def test_a_bundle_brings_the_feed_keys_along(platform, node):
    await node.bring(await platform.bundle(node.node_id))
    keys, _ = held(node)
    assert keys == await platform.platform.database.run(feed_keys.to_deliver)


async def test_a_bundle_opens_though_the_feed_key_changed_since_the_last(platform, node, tmp_path):
    await node.bring(await platform.bundle(node.node_id))
    other = await NodeSide(tmp_path / "other").join(platform)
    await platform.platform.database.run(lambda tx: revoke_node(tx, other.node_id, "stolen"))
    await platform.publish(PutCredential(credential()))
    platform.now += 60
    node.now += 60
    await node.bring(await platform.bundle(node.node_id))
    keys, found = held(node)
    assert sorted(keys) == [1, 2]
    assert found == credential()


async def test_a_site_that_gets_a_network_later_reads_the_sealed_changes_of_the_wire(
    platform, node
):
    await node.bring(await platform.bundle(node.node_id))
    await platform.publish(PutCredential(credential()))
    keys, _ = held(node)
    with open_node_folder(node.config_file) as folder:
        base = _base(folder)
    config, signing = platform.platform.config, platform.platform.keys.signing["changes"]
    batch = await platform.platform.database.run(
        lambda tx: feed.batch(tx, config.log, base.mark.cursor))
    data = feed.sign(batch, signing)
    assert credential().fields["name"].encode() not in data
    with pytest.raises(Refusal) as refused:
        base.feed(NOW_S).changes(data, NOW_S)
    assert refused.value.rule is Rule.SEAL
    _, opened = base.feed(NOW_S).changes(data, NOW_S, keys)
    assert PutCredential(credential()) in opened.changes


def test_a_feed_key_that_is_sealed_to_somebody_else_refuses_the_bundle():
    forge = Forge(NOW_S)
    base = RootOfTrust.restored(forge.roots[0], node_id="isle", mark=Mark())
    trial = _Trial(base, KEY.sealing, NOW_S)
    bad = (SealedFeedKey(1, bytes(80)),)
    trial.keys(forge.delivery("isle", KEY.seal_public, carried_to="isle"))
    with pytest.raises(Refusal) as refused:
        trial.keys(forge.delivery("isle", KEY.seal_public, carried_to="isle", feed_keys=bad))
    assert refused.value.rule is Rule.SEAL
