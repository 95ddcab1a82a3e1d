"""Other node's keys: a delivery meant for one node is handed to another."""

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from edge.hotpath.node_seal import NodeSeal
from edge.node_key import NodeKey
from edge.protocol.feed import SealedEpoch
from edge.sync.envelope import Rule
from edge.sync.sealing import open_epochs
from tests.attacks.feed_story import NODE, NOW_S, enrolled, refused
from tests.fakes.city import epoch
from tests.fakes.feed_forge import Forge, sealed

KEYS = (
    (NodeKey(bytes(32)).sealing, NodeKey(bytes([1] * 32)).sealing),
    (NodeSeal(X25519PrivateKey.generate()), NodeSeal(X25519PrivateKey.generate())),
)


@pytest.fixture(params=KEYS, ids=["hybrid", "x25519"])
def keys(request):
    """Our sealing key and another node's."""
    return request.param


def test_delivery_for_another_node_is_refused(keys):
    ours, _ = keys
    forge = Forge(NOW_S)
    with refused(Rule.OTHER_NODE):
        enrolled(forge).keys(forge.delivery("node-2", ours.public, epoch(20_000)), NOW_S)


def test_epoch_sealed_to_another_key_does_not_open(keys):
    ours, theirs = keys
    forge = Forge(NOW_S)
    _, delivery = enrolled(forge).keys(
        forge.delivery(NODE, theirs.public, epoch(20_000)), NOW_S)
    with refused(Rule.SEAL):
        open_epochs(delivery, ours)


def test_epoch_sealed_for_another_node_id_does_not_open(keys):
    ours, _ = keys
    forge = Forge(NOW_S)
    _, delivery = enrolled(forge).keys(forge.delivery(
        NODE, ours.public, epochs=(sealed(epoch(20_000), "node-2", ours.public),)), NOW_S)
    with refused(Rule.SEAL):
        open_epochs(delivery, ours)


def test_epoch_sealed_under_another_day_is_refused(keys):
    ours, _ = keys
    forge = Forge(NOW_S)
    posing = SealedEpoch(20_001, sealed(epoch(20_000), NODE, ours.public).sealed)
    _, delivery = enrolled(forge).keys(
        forge.delivery(NODE, ours.public, epochs=(posing,)), NOW_S)
    with refused(Rule.SEAL):
        open_epochs(delivery, ours)


def test_one_epoch_that_does_not_open_spoils_the_delivery(keys):
    ours, _ = keys
    forge = Forge(NOW_S)
    good = sealed(epoch(20_000), NODE, ours.public)
    bad = SealedEpoch(20_001, b"")
    _, delivery = enrolled(forge).keys(
        forge.delivery(NODE, ours.public, epochs=(good, bad)), NOW_S)
    with refused(Rule.SEAL):
        open_epochs(delivery, ours)


def test_day_that_comes_twice_is_refused(keys):
    ours, _ = keys
    forge = Forge(NOW_S)
    twice = (sealed(epoch(20_000), NODE, ours.public),) * 2
    with refused(Rule.CONTENT):
        enrolled(forge).keys(forge.delivery(NODE, ours.public, epochs=twice), NOW_S)


def test_own_delivery_opens_in_order_of_days(keys):
    ours, _ = keys
    forge = Forge(NOW_S)
    _, delivery = enrolled(forge).keys(
        forge.delivery(NODE, ours.public, epoch(20_001), epoch(20_000)), NOW_S)
    assert open_epochs(delivery, ours) == (epoch(20_000), epoch(20_001))
