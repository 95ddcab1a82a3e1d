"""Wrong key: somebody else signs or seals."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.protocol.feed import Root
from edge.sync.envelope import Rule
from edge.sync.rules import Mark, RootOfTrust
from edge.sync.snapshot import trust_timestamp
from tests.attacks.feed_story import GRANTED, NODE, NOW_S, refused
from tests.attacks.snapshot_story import HELD, at, believed
from tests.fakes.feed_forge import Forge, envelope, root_body
from tests.fakes.snapshot_forge import KEYS, Forged

STRANGER = Ed25519PrivateKey.generate()


def test_timestamp_signed_by_a_stranger_is_refused():
    forge = Forge(NOW_S)
    forged = Forged(forge, HELD, signers=(forge.keys.snapshot[0], STRANGER))
    with refused(Rule.SIGNATURES):
        trust_timestamp(at(forge), forged.timestamp, NOW_S)


def test_snapshot_signed_by_a_stranger_or_another_role_is_refused():
    forge = Forge(NOW_S)
    for signer in (STRANGER, forge.keys.timestamp[0], forge.keys.changes[0]):
        forged = Forged(forge, HELD, signers=(signer, forge.keys.timestamp[0]))
        with refused(Rule.SIGNATURES):
            believed(at(forge), forged)


def test_root_that_names_no_keys_for_snapshots_leads_to_none():
    forge = Forge(NOW_S)
    honest = root_body(forge.keys, issued_s=NOW_S)
    body = Root(**{
        name: getattr(honest, name) for name in ("format", "log", "version", "issued_s",
                                                 "expires_s", "keys")},
        roles={role: honest.roles[role] for role in ("root", "changes", "keys")})
    base = RootOfTrust.restored(envelope(body, *forge.keys.root), node_id=NODE, mark=Mark())
    with refused(Rule.SIGNATURES):
        trust_timestamp(base.feed(NOW_S), Forged(forge).timestamp, NOW_S)


def test_part_under_a_feed_key_that_is_not_held_is_refused():
    forge = Forge(NOW_S)
    forged = Forged(forge, [GRANTED], key=2)
    with refused(Rule.SEAL):
        believed(at(forge), forged).part(0, forged.parts[0], KEYS)


def test_part_sealed_under_another_feed_key_is_refused():
    forge = Forge(NOW_S)
    forged = Forged(forge, [GRANTED])
    with refused(Rule.CONTENT):
        believed(at(forge), forged).part(0, forged.parts[0], {1: bytes(32)})


def test_status_is_signed_and_not_sealed():
    forge = Forge(NOW_S)
    forged = Forged(forge, HELD[1:], key=0)
    assert believed(at(forge), forged).part(0, forged.parts[0], {}) == HELD[1:]
