"""Moved: a sealed change is put in another place, under another key, or sealed by a stranger."""

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from edge.protocol.feed import SealedChange, change_bound
from edge.sync.envelope import Rule
from tests.attacks.feed_story import GRANTED, NOW_S, refused
from tests.attacks.snapshot_story import at
from tests.fakes.feed_forge import LOG, Forge
from tests.fakes.snapshot_forge import FEED_KEY, KEYS


def sealed(number: int, change=GRANTED, *, log=LOG, key=1, secret=FEED_KEY) -> SealedChange:
    nonce = bytes(12)
    return SealedChange(key, nonce + AESGCM(secret).encrypt(
        nonce, msgspec.msgpack.encode(change), change_bound(log, number)))


def test_sealed_change_is_opened_where_it_belongs():
    forge = Forge(NOW_S)
    _, batch = at(forge, cursor=4, head=4).changes(forge.batch(4, sealed(4)), NOW_S, KEYS)
    assert batch.changes == (GRANTED,)


def test_sealed_change_of_another_place_or_log_is_refused():
    forge = Forge(NOW_S)
    for moved in (sealed(5), sealed(4, log="elsewhere"), sealed(4, secret=bytes(32))):
        with refused(Rule.SEAL):
            at(forge, cursor=4, head=4).changes(forge.batch(4, moved), NOW_S, KEYS)


def test_change_under_a_feed_key_that_is_not_held_is_refused_until_it_is():
    forge = Forge(NOW_S)
    node = at(forge, cursor=4, head=4)
    data = forge.batch(4, sealed(4, key=2))
    with refused(Rule.SEAL):
        node.changes(data, NOW_S, KEYS)
    node.changes(data, NOW_S, {**KEYS, 2: FEED_KEY})


def test_sealed_change_holds_one_change_that_fits():
    forge = Forge(NOW_S)
    from edge.protocol.feed import DropCredential

    for inner, rule in ((sealed(4), Rule.SEAL), (7, Rule.SEAL),
                        (DropCredential(bytes(3)), Rule.CONTENT)):
        with refused(rule):
            at(forge, cursor=4, head=4).changes(
                forge.batch(4, sealed(4, inner)), NOW_S, KEYS)
