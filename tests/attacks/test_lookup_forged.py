"""Forged answers: a look-up is answered by a stranger, for another, with old or other content."""

import hashlib

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.protocol.feed import FORMAT, DropCredential
from edge.protocol.lookup import LookedUp, lookup_log
from edge.sync.envelope import Rule
from edge.sync.lookup import trust_lookup
from tests.attacks.feed_story import GRANTED, NODE, NOW_S, REVOKED, refused
from tests.attacks.snapshot_story import at
from tests.attacks.test_feed_sealed_moved import sealed
from tests.fakes.feed_forge import LOG, Forge, envelope
from tests.fakes.snapshot_forge import KEYS

RAW = b'{"credential_ids":["AAAA"]}'
OURS = lookup_log(LOG, NODE)


def answer(forge, *changes, signer=None, **differently):
    honest = LookedUp(
        format=FORMAT, log=LOG, node_id=NODE, asked=hashlib.sha256(RAW).digest(), issued_s=NOW_S,
        expires_s=NOW_S + 30, found=1, changes=changes)
    return envelope(
        msgspec.structs.replace(honest, **differently), signer or forge.keys.changes[0])


def test_honest_answer_is_believed():
    forge = Forge(NOW_S)
    _, changes = trust_lookup(
        at(forge), answer(forge, sealed(0, log=OURS), REVOKED), RAW, NOW_S, KEYS)
    assert changes == (GRANTED, REVOKED)


@pytest.mark.parametrize(("differently", "rule"), [
    ({"log": "elsewhere"}, Rule.LOG), ({"node_id": "node-2"}, Rule.OTHER_NODE),
    ({"asked": bytes(32)}, Rule.ORDER), ({"expires_s": NOW_S}, Rule.EXPIRED),
    ({"issued_s": NOW_S + 301}, Rule.FUTURE),
    ({"changes": (DropCredential(bytes(16)),)}, Rule.CONTENT),
])
def test_answer_to_another_question_node_or_time_is_refused(differently, rule):
    forge = Forge(NOW_S)
    with refused(rule):
        trust_lookup(at(forge), answer(forge, **differently), RAW, NOW_S, KEYS)


@pytest.mark.parametrize(("ago_s", "good"), [(-1, True), (0, True), (1, False), (29, False)])
def test_answer_from_before_the_newest_batch_is_refused(ago_s, good):
    """It may hold what a change that is believed by now withdrew: a credential that was dropped."""
    forge = Forge(NOW_S)
    feed, held_back = at(forge, issued_s=NOW_S + ago_s), answer(forge, REVOKED)
    if good:
        assert trust_lookup(feed, held_back, RAW, NOW_S, KEYS)[1] == (REVOKED,)
        return
    with refused(Rule.ROLLBACK):
        trust_lookup(feed, held_back, RAW, NOW_S, KEYS)


def test_answer_of_a_stranger_or_another_role_is_refused():
    forge = Forge(NOW_S)
    for signer in (Ed25519PrivateKey.generate(), forge.keys.keys[0]):
        with refused(Rule.SIGNATURES):
            trust_lookup(at(forge), answer(forge, signer=signer), RAW, NOW_S, KEYS)
    with refused(Rule.KIND):
        trust_lookup(at(forge), forge.batch(0, GRANTED), RAW, NOW_S, KEYS)


def test_sealed_record_of_another_nodes_answer_or_place_is_refused():
    forge = Forge(NOW_S)
    for moved in (sealed(1, log=OURS), sealed(0, log=lookup_log(LOG, "node-2")), sealed(0)):
        with refused(Rule.SEAL):
            trust_lookup(at(forge), answer(forge, moved), RAW, NOW_S, KEYS)
