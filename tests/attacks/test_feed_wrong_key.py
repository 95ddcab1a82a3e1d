"""Wrong key: somebody else signs, or a root arrives that isn't the platform's."""

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.protocol.feed import Envelope, RoleKeys, Signature
from edge.sync.envelope import Rule
from edge.sync.rules import Mark, RootOfTrust
from tests.attacks.feed_story import GRANTED, NODE, NOW_S, enrolled, refused
from tests.fakes.city import epoch
from tests.fakes.feed_forge import Forge, Keys, envelope, root_body, signature

SEAL = bytes(range(32))


def test_changes_signed_by_a_stranger_are_refused():
    forge = Forge(NOW_S)
    with refused(Rule.SIGNATURES):
        enrolled(forge).changes(
            forge.batch(0, GRANTED, signers=[Ed25519PrivateKey.generate()]), NOW_S)


def test_stranger_under_the_name_of_a_known_key_is_refused():
    forge = Forge(NOW_S)
    body = msgspec.msgpack.encode(forge.batch_body(0, GRANTED))
    genuine = signature(forge.keys.changes[0], body)
    strange = signature(Ed25519PrivateKey.generate(), body)
    posing = Envelope(body, (Signature(genuine.key_id, strange.value),))
    with refused(Rule.SIGNATURES):
        enrolled(forge).changes(msgspec.msgpack.encode(posing), NOW_S)


def test_unsigned_changes_and_keys_are_refused():
    forge = Forge(NOW_S)
    with refused(Rule.SIGNATURES):
        enrolled(forge).changes(forge.batch(0, GRANTED, signers=[]), NOW_S)
    with refused(Rule.SIGNATURES):
        enrolled(forge).keys(forge.delivery(NODE, SEAL, epoch(20_000), signers=[]), NOW_S)


def test_root_of_another_platform_is_refused_at_enrolment():
    ours, theirs = Forge(NOW_S), Forge(NOW_S)
    with refused(Rule.FINGERPRINT):
        RootOfTrust.pinned(theirs.roots[0], code=ours.code, node_id=NODE)


def test_pinned_root_whose_own_signature_does_not_hold_is_refused():
    forge = Forge(NOW_S)
    unsigned = envelope(root_body(forge.keys, issued_s=NOW_S))
    forge.roots = [unsigned]
    with refused(Rule.SIGNATURES):
        enrolled(forge)


def test_next_root_signed_by_its_own_keys_only_is_refused():
    forge = Forge(NOW_S)
    base = enrolled(forge).base
    usurper = Keys()
    forged = envelope(root_body(usurper, version=2, issued_s=NOW_S), *usurper.root)
    with refused(Rule.SIGNATURES):
        base.rotated(forged)


def test_next_root_signed_by_the_old_keys_only_is_refused():
    forge = Forge(NOW_S)
    base = enrolled(forge).base
    unowned = envelope(root_body(Keys(), version=2, issued_s=NOW_S), *forge.keys.root)
    with refused(Rule.SIGNATURES):
        base.rotated(unowned)


def test_next_root_below_the_threshold_of_the_old_one_is_refused():
    forge = Forge(NOW_S, threshold=2)
    base = enrolled(forge).base
    usurper = Keys(threshold=2)
    body = root_body(usurper, version=2, issued_s=NOW_S)
    with refused(Rule.SIGNATURES):
        base.rotated(envelope(body, forge.keys.root[0], *usurper.root))


def test_withdrawn_key_signs_nothing_any_more():
    forge = Forge(NOW_S)
    stolen = forge.keys.changes
    node = enrolled(forge).base.rotated(forge.rotate_root()).feed(NOW_S)
    with refused(Rule.SIGNATURES):
        node.changes(forge.batch(0, GRANTED, signers=stolen), NOW_S)


@pytest.mark.parametrize("role", ["root", "changes", "keys"])
@pytest.mark.parametrize("threshold", [0, 2])
def test_root_whose_thresholds_cannot_be_meant_is_refused(role, threshold):
    keys = Keys()
    honest = root_body(keys, issued_s=NOW_S)
    crooked = msgspec.structs.replace(honest, roles={
        **honest.roles, role: RoleKeys(honest.roles[role].key_ids, threshold)})
    with refused(Rule.KEYS_OF_ROOT):
        RootOfTrust.restored(envelope(crooked, *keys.root), node_id=NODE, mark=Mark())


def test_key_listed_under_another_id_is_refused():
    keys = Keys()
    honest = root_body(keys, issued_s=NOW_S)
    names = list(honest.keys)
    swapped = dict(zip(names, reversed(list(honest.keys.values())), strict=True))
    crooked = msgspec.structs.replace(honest, keys=swapped)
    with refused(Rule.KEYS_OF_ROOT):
        RootOfTrust.restored(envelope(crooked, *keys.root), node_id=NODE, mark=Mark())


def test_root_without_a_role_is_refused():
    keys = Keys()
    honest = root_body(keys, issued_s=NOW_S)
    roles = {name: role for name, role in honest.roles.items() if name != "keys"}
    crooked = envelope(msgspec.structs.replace(honest, roles=roles), *keys.root)
    with refused(Rule.KEYS_OF_ROOT):
        RootOfTrust.restored(crooked, node_id=NODE, mark=Mark())
