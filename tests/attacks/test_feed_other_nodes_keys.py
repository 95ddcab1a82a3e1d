"""Other node's keys: a delivery meant for one node is handed to another."""

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from edge.protocol.feed import SealedEpoch
from edge.sync.envelope import Rule
from edge.sync.sealing import open_epochs
from tests.attacks.feed_story import NODE, NOW_S, enrolled, refused
from tests.fakes.city import epoch
from tests.fakes.feed_forge import Forge, sealed

OURS, THEIRS = X25519PrivateKey.generate(), X25519PrivateKey.generate()
OUR_SEAL = OURS.public_key().public_bytes_raw()
THEIR_SEAL = THEIRS.public_key().public_bytes_raw()


def test_delivery_for_another_node_is_refused():
    forge = Forge(NOW_S)
    with refused(Rule.OTHER_NODE):
        enrolled(forge).keys(forge.delivery("node-2", OUR_SEAL, epoch(20_000)), NOW_S)


def test_epoch_sealed_to_another_key_does_not_open():
    forge = Forge(NOW_S)
    _, delivery = enrolled(forge).keys(
        forge.delivery(NODE, THEIR_SEAL, epoch(20_000)), NOW_S)
    with refused(Rule.SEAL):
        open_epochs(delivery, OURS)


def test_epoch_sealed_for_another_node_id_does_not_open():
    forge = Forge(NOW_S)
    _, delivery = enrolled(forge).keys(forge.delivery(
        NODE, OUR_SEAL, epochs=(sealed(epoch(20_000), "node-2", OUR_SEAL),)), NOW_S)
    with refused(Rule.SEAL):
        open_epochs(delivery, OURS)


def test_epoch_sealed_under_another_day_is_refused():
    forge = Forge(NOW_S)
    posing = SealedEpoch(20_001, sealed(epoch(20_000), NODE, OUR_SEAL).sealed)
    _, delivery = enrolled(forge).keys(
        forge.delivery(NODE, OUR_SEAL, epochs=(posing,)), NOW_S)
    with refused(Rule.SEAL):
        open_epochs(delivery, OURS)


def test_one_epoch_that_does_not_open_spoils_the_delivery():
    forge = Forge(NOW_S)
    good = sealed(epoch(20_000), NODE, OUR_SEAL)
    bad = SealedEpoch(20_001, b"")
    _, delivery = enrolled(forge).keys(
        forge.delivery(NODE, OUR_SEAL, epochs=(good, bad)), NOW_S)
    with refused(Rule.SEAL):
        open_epochs(delivery, OURS)


def test_day_that_comes_twice_is_refused():
    forge = Forge(NOW_S)
    twice = (sealed(epoch(20_000), NODE, OUR_SEAL),) * 2
    with refused(Rule.CONTENT):
        enrolled(forge).keys(forge.delivery(NODE, OUR_SEAL, epochs=twice), NOW_S)


def test_own_delivery_opens_in_order_of_days():
    forge = Forge(NOW_S)
    _, delivery = enrolled(forge).keys(
        forge.delivery(NODE, OUR_SEAL, epoch(20_001), epoch(20_000)), NOW_S)
    assert open_epochs(delivery, OURS) == (epoch(20_000), epoch(20_001))
