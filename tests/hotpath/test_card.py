"""Cards: what one says comes back, nothing else is believed, and what it hides stays hidden."""

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.hotpath import card as cards
from edge.hotpath.card import CARD_SPACE, StatusRef, check_card, probe_for_card
from edge.hotpath.holder import Probe, compare_templates
from edge.hotpath.keys import DerivedKeys, KeyRing
from edge.hotpath.presentation import AuthenticPresentation, DriftWindow, check_presentation
from edge.hotpath.reasons import Reason
from edge.hotpath.renewal import derive_rotation, whole
from edge.hotpath.verdict import Verdict
from edge.protocol import cose
from edge.protocol.records import EpochKeys
from edge.protocol.steps import DAY_S
from tests.fakes.cards import INDEX, KEY, LOG, URI, card, code, credential, reference
from tests.fakes.ports import PACK, template_of

DAY = 21_100
NOW = DAY * DAY_S + 30_000
EPOCH = EpochKeys(key_epoch=DAY, master=bytes([3] * 32), seal_private=bytes([4] * 32))
TOMORROW = EpochKeys(key_epoch=DAY + 1, master=bytes([5] * 32), seal_private=bytes([6] * 32))
ID = bytes([1] * 16)
PUBLIC = (KEY.public_key(),)


def authentic(data: bytes, credential_id: bytes = ID, day: int = DAY) -> AuthenticPresentation:
    return AuthenticPresentation(0x11, day, NOW // 5, credential_id, data)


def honest(**differently) -> bytes:
    return card(credential(ID), reference(5), EPOCH, NOW, **differently)


def mismatch(data: bytes, **differently) -> bool:
    found = check_card(authentic(data, **differently), LOG, PUBLIC)
    return isinstance(found, Verdict) and found.reason is Reason.CARD_MISMATCH


def claims_card(change) -> bytes:
    """An issuer's signature over other claims: the checks behind it must hold by themselves."""
    payload = cose.load_claims(cose.parse_sign1(honest()).payload)
    change(payload)
    return cose.sign(KEY, cards._PROTECTED, cose.dump(payload), cards._CONTEXT)


def test_a_card_says_what_was_signed():
    found = check_card(authentic(honest()), LOG, PUBLIC)
    assert found.credential == credential(ID, updated_s=NOW)
    assert found.status == StatusRef(URI, INDEX)
    assert (found.reference.pack, found.reference.generation) == (PACK, CARD_SPACE)
    assert len(found.reference.template) == 128
    assert "马" not in repr(found)


def test_a_card_without_face_or_status_is_one_too():
    data = card(credential(ID), None, EPOCH, NOW, status=None)
    found = check_card(authentic(data), LOG, PUBLIC)
    assert found.reference is None
    assert found.status is None


def test_a_second_key_of_the_issuer_counts_too():
    other = Ed25519PrivateKey.generate()
    keys = (other.public_key(), KEY.public_key())
    assert not isinstance(check_card(authentic(honest()), LOG, keys), Verdict)
    assert check_card(authentic(honest()), LOG, ()).reason is Reason.CARD_MISMATCH


@pytest.mark.parametrize("data", [
    honest(key=Ed25519PrivateKey.generate()),
    honest(issuer="another city"),
    card(credential(bytes([9] * 16)), reference(5), EPOCH, NOW),
    card(credential(ID), reference(5), TOMORROW, NOW),
    honest() + b"\0", honest()[:-1], b"\xd2\x84", b"\0", bytes(cards.CARD_BYTES_MAX + 1),
    claims_card(lambda c: c.pop(cards.ID)),
    claims_card(lambda c: c.pop(cards.EXPIRES)),
    claims_card(lambda c: c.update({cards.EXPIRES: (DAY + 1) * DAY_S + 1})),
    claims_card(lambda c: c.update({cards.BODY: [1]})),
    claims_card(lambda c: c[cards.BODY].__setitem__(5, b"short")),
    claims_card(lambda c: c[cards.BODY].__setitem__(8, -1)),
    claims_card(lambda c: c.update({cards.STATUS: {"status_list": {"idx": "5", "uri": URI}}})),
])
def test_what_the_issuer_did_not_say_of_this_credential_today_is_a_mismatch(data):
    assert mismatch(data)


def test_a_card_of_another_credential_or_day_is_a_mismatch():
    assert not mismatch(honest())
    assert mismatch(honest(), credential_id=bytes([9] * 16))
    assert mismatch(honest(), day=DAY + 1)
    assert mismatch(honest(), day=DAY - 1)


def test_a_signature_for_another_purpose_is_none_for_a_card():
    message = cose.parse_sign1(honest())
    assert mismatch(cose.sign(KEY, message.protected, message.payload))


def test_every_flipped_bit_is_a_mismatch():
    data = honest()
    for place in range(len(data) * 8):
        broken = bytearray(data)
        broken[place // 8] ^= 1 << place % 8
        assert mismatch(bytes(broken)), place


@settings(max_examples=200)
@given(st.binary(max_size=1100))
def test_any_bytes_give_a_mismatch_and_never_an_exception(data):
    assert mismatch(data)
    assert mismatch(cose.sign(KEY, cards._PROTECTED, data, cards._CONTEXT))


def test_a_sealed_code_carries_its_card_and_the_tag_covers_it():
    text = code(ID, NOW // 5, EPOCH, honest())
    found = check_presentation(text, NOW, KeyRing.derive([EPOCH]), DriftWindow())
    assert found.card == honest()


def probe_of(template) -> Probe:
    return Probe(pack=PACK, template=template, quality=1.0, components={})


def test_faces_compare_in_the_cards_space_as_they_do_outside():
    rng = np.random.default_rng(1)
    epoch = DerivedKeys(EPOCH)
    for number in range(20):
        first = template_of(number)
        mixed = first + rng.uniform(0, 2) * rng.permuted(first.astype(float))
        second = np.rint(mixed * 127 / np.abs(mixed).max()).astype(np.int8)
        data = card(credential(ID), reference(number), EPOCH, NOW)
        stored = np.frombuffer(check_card(authentic(data), LOG, PUBLIC).reference.template, np.int8)
        probe = probe_for_card(probe_of(second), epoch, ID)
        assert probe.generation == CARD_SPACE
        score = compare_templates(whole(stored, None), whole(probe.template, probe.fine))
        assert score == pytest.approx(compare_templates(first, second), abs=0.006)


def test_one_face_in_two_cards_or_on_two_days_is_two_strangers():
    same = template_of(5)
    hidden = []
    for epoch, who in ((EPOCH, ID), (EPOCH, bytes([8] * 16)), (TOMORROW, ID)):
        data = card(credential(who), reference(5), epoch, NOW)
        found = check_card(authentic(data, who, epoch.key_epoch), LOG, PUBLIC)
        hidden.append(np.frombuffer(found.reference.template, np.int8))
    for first, second in ((0, 1), (0, 2), (1, 2)):
        assert abs(compare_templates(hidden[first], hidden[second])) < 0.45
    assert all(abs(compare_templates(item, same)) < 0.45 for item in hidden)


def test_who_has_the_days_key_can_undo_a_card_and_nobody_else():
    data = card(credential(ID), reference(5), EPOCH, NOW)
    stored = np.frombuffer(check_card(authentic(data), LOG, PUBLIC).reference.template, np.int8)
    for epoch, undone in ((EPOCH, True), (TOMORROW, False)):
        secret = cards.card_secret(DerivedKeys(epoch).card_key, ID)
        back = derive_rotation(secret, PACK, 128).T @ stored.astype(np.float32)
        assert (compare_templates(back, template_of(5)) > 0.99) is undone


def test_a_probe_of_another_length_stays_where_it_is():
    probe = probe_of(np.ones(512, np.int8))
    assert probe_for_card(probe, DerivedKeys(EPOCH), ID) is probe
