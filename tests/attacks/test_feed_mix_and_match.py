"""Mix and match: genuine signatures and bodies are put together as they never were."""

import msgspec

from edge.protocol.feed import Envelope
from edge.sync.envelope import Rule
from tests.attacks.feed_story import GRANTED, NODE, NOW_S, REVOKED, enrolled, refused
from tests.fakes.city import epoch
from tests.fakes.feed_forge import Forge, envelope, root_body, signature

SEAL = bytes(range(32))


def parts(data: bytes) -> Envelope:
    return msgspec.msgpack.decode(data, type=Envelope)


def test_signature_of_another_batch_does_not_carry_over():
    forge = Forge(NOW_S)
    one, other = parts(forge.batch(0, GRANTED)), parts(forge.batch(0, REVOKED))
    mixed = msgspec.msgpack.encode(Envelope(one.body, other.signatures))
    with refused(Rule.SIGNATURES):
        enrolled(forge).changes(mixed, NOW_S)


def test_key_delivery_is_no_batch_and_a_batch_no_key_delivery():
    forge = Forge(NOW_S)
    forge.keys.keys = forge.keys.changes
    forge.roots = [forge.root()]
    with refused(Rule.KIND):
        enrolled(forge).changes(forge.delivery(NODE, SEAL, epoch(20_000)), NOW_S)
    with refused(Rule.KIND):
        enrolled(forge).keys(forge.batch(0), NOW_S)


def test_key_for_deliveries_cannot_sign_changes():
    forge = Forge(NOW_S)
    with refused(Rule.SIGNATURES):
        enrolled(forge).changes(forge.batch(0, signers=forge.keys.keys), NOW_S)


def test_key_for_changes_cannot_sign_a_root():
    forge = Forge(NOW_S)
    base = enrolled(forge).base
    forged = envelope(root_body(forge.keys, version=2, issued_s=NOW_S), *forge.keys.changes)
    with refused(Rule.SIGNATURES):
        base.rotated(forged)


def test_signature_made_for_another_purpose_does_not_count():
    forge = Forge(NOW_S)
    body = msgspec.msgpack.encode(forge.batch_body(0, GRANTED))
    bare = signature(forge.keys.changes[0], body, signed=body)
    with refused(Rule.SIGNATURES):
        enrolled(forge).changes(msgspec.msgpack.encode(Envelope(body, (bare,))), NOW_S)


def test_one_key_signing_twice_is_one_signature():
    forge = Forge(NOW_S, threshold=2)
    base = enrolled(forge).base
    body = root_body(forge.keys, version=2, issued_s=NOW_S)
    with refused(Rule.SIGNATURES):
        base.rotated(envelope(body, forge.keys.root[0], forge.keys.root[0]))
    assert base.rotated(envelope(body, *forge.keys.root)).root.version == 2
