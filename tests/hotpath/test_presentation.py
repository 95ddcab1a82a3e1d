"""KH1 judged: the order of answers, the window's edges, and any text at all."""

import json
import string
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.hotpath.keys import DerivedKeys, KeyRing
from edge.hotpath.presentation import AuthenticPresentation, DriftWindow, check_presentation
from edge.hotpath.reasons import Reason
from edge.hotpath.verdict import Verdict
from edge.hotpath.wallet import derive_wallet_keys, make_presentation
from edge.protocol import base45
from edge.protocol.kh1 import SUITES
from edge.protocol.records import EpochKeys
from edge.protocol.steps import STEP_S
from tests.hotpath import reference_kh1 as plain

DAY = 21_080
NOW = DAY * 86_400 + 40_000.0
STEP = int(NOW // 5)
SECRETS = [
    EpochKeys(key_epoch=DAY + d, master=bytes([50 + d] * 32), seal_private=bytes([70 + d] * 32))
    for d in (-1, 0, 1)
]
RING = KeyRing.derive(SECRETS)
WINDOW = DriftWindow()
CREDENTIAL = bytes(range(16))


def code(suite: int, step: int = STEP, card: bytes = b"", credential: bytes = CREDENTIAL) -> str:
    epoch = RING.get(step * STEP_S // 86_400)
    assert epoch is not None
    return make_presentation(derive_wallet_keys(epoch, suite, credential), step, card)


def reason(text: str, now: float = NOW, window: DriftWindow = WINDOW, ring: KeyRing = RING) -> str:
    found = check_presentation(text, now, ring, window)
    return "genuine" if isinstance(found, AuthenticPresentation) else found.reason.value


@pytest.mark.parametrize("suite", SUITES)
def test_a_genuine_code_gives_its_credential_and_step(suite):
    found = check_presentation(code(suite), NOW, RING, WINDOW)
    assert isinstance(found, AuthenticPresentation)
    assert (found.credential_id, found.step, found.suite) == (CREDENTIAL, STEP, suite)
    assert found.key_epoch == DAY


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("back,ahead", [(1, 1), (0, 0), (3, 2)])
def test_the_drift_window_ends_where_the_scene_says(suite, back, ahead):
    window = DriftWindow(steps_back=back, steps_ahead=ahead)
    expected = [
        (-back - 1, "step_expired"), (-back, "genuine"), (0, "genuine"),
        (ahead, "genuine"), (ahead + 1, "step_future"),
    ]
    for offset, answer in expected:
        assert reason(code(suite, STEP + offset), window=window) == answer


@pytest.mark.parametrize("suite", SUITES)
def test_around_midnight_each_code_is_judged_by_the_keys_of_its_own_day(suite):
    midnight = (DAY + 1) * 86_400
    first = midnight // 5
    for second in (-0.001, 0.0, 4.999):
        at = midnight + second
        assert reason(code(suite, first - 1), at) == "genuine"
        assert reason(code(suite, first), at) == "genuine"


@pytest.mark.parametrize("suite", SUITES)
def test_a_day_without_keys_is_unknown_before_anything_is_said_of_the_tag(suite):
    text = code(suite)
    assert reason(text, ring=RING.without_before(DAY + 1)) == "key_epoch_unknown"


def test_a_day_number_is_never_reduced_to_two_bytes():
    wrapped = DerivedKeys(
        EpochKeys(key_epoch=DAY + 65_536, master=bytes([1] * 32), seal_private=bytes([2] * 32))
    )
    later = (DAY + 65_536) * 17_280 + 8_000
    text = make_presentation(derive_wallet_keys(wrapped, 1, CREDENTIAL), later)
    assert reason(text, later * 5.0) == "key_epoch_unknown"
    assert reason(text, later * 5.0, ring=KeyRing([wrapped])) == "genuine"


@pytest.mark.parametrize("suite", SUITES)
def test_a_suite_that_the_scene_does_not_admit_is_malformed(suite):
    others = tuple(s for s in SUITES if s != suite)
    assert reason(code(suite), window=DriftWindow(suites=others)) == "malformed"


@pytest.mark.parametrize("suite", (1, 2))
def test_compact_codes_agree_with_the_plain_implementation(suite):
    for step in (STEP - 1, STEP, STEP + 1):
        assert code(suite, step) == plain.compact(suite, SECRETS[1].master, CREDENTIAL, step)


def test_sealed_codes_of_the_plain_implementation_are_genuine_with_their_card():
    public = DerivedKeys(SECRETS[1]).seal_public
    for card in (b"", b"c", bytes(2_500)):
        text = plain.sealed(SECRETS[1].master, public, bytes([9] * 32), DAY, CREDENTIAL, STEP, card)
        found = check_presentation(text, NOW, RING, WINDOW)
        assert isinstance(found, AuthenticPresentation)
        assert found.card == card


def test_a_sealed_step_of_another_day_is_malformed_even_when_it_is_also_late():
    public = DerivedKeys(SECRETS[1]).seal_public
    for step in (STEP - 17_280, STEP + 17_280):
        text = plain.sealed(SECRETS[1].master, public, bytes([9] * 32), DAY, CREDENTIAL, step)
        assert reason(text) == "malformed"


@pytest.mark.parametrize("suite", SUITES)
def test_every_altered_octet_is_refused(suite):
    binary = base45.decode(code(suite), 4)
    for at in range(len(binary)):
        altered = bytearray(binary)
        altered[at] ^= 0x01
        answer = reason("KH1:" + base45.encode(bytes(altered)))
        assert answer in {"mac_mismatch", "malformed", "key_epoch_unknown"}, at


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize(
    "alter",
    [
        lambda t: t + " ", lambda t: " " + t, lambda t: t + "\r", lambda t: t.lower(),
        lambda t: t[:-1], lambda t: "KH1:" + t, lambda t: t.replace("KH1:", "KH2:"),
        lambda t: t.replace("KH1:", "kh1:"), lambda t: t + "\0", lambda t: "",
        lambda t: "KH1:", lambda t: t[:6] + "\uff11" + t[7:], lambda t: t[:6] + "\ud800" + t[7:],
        lambda t: t[:6] + "_" + t[7:], lambda t: t + "000", lambda t: t * 200,
    ],
)
def test_a_text_is_judged_exactly_as_read(suite, alter):
    altered = alter(code(suite))
    allowed = {"malformed"} if suite != 0x11 else {"malformed", "mac_mismatch"}
    assert reason(altered) in allowed


def test_a_text_longer_than_any_qr_code_is_malformed_unread():
    assert reason("KH1:" + "0" * 4293) == "malformed"
    assert reason("KH1:" + "0" * 10_000_000) == "malformed"


def test_the_longest_code_that_a_qr_code_holds_is_read():
    card = bytes(2861 - 87)
    text = code(0x11, card=card)
    assert len(text) == 4 + 4292 - 1 or len(text) <= 4296
    found = check_presentation(text, NOW, RING, WINDOW)
    assert isinstance(found, AuthenticPresentation)
    assert found.card == card


@given(st.one_of(
    st.text(max_size=120),
    st.binary(max_size=120).map(lambda b: "KH1:" + base45.encode(b)),
    st.text(alphabet=string.printable, max_size=80).map(lambda t: "KH1:" + t),
))
@settings(max_examples=300, deadline=None)
def test_any_text_gives_a_verdict_and_never_an_exception(text):
    found = check_presentation(text, NOW, RING, WINDOW)
    assert isinstance(found, Verdict)
    assert found.reason in {Reason.MALFORMED, Reason.KEY_EPOCH_UNKNOWN, Reason.MAC_MISMATCH}


@given(st.binary(min_size=16, max_size=16), st.sampled_from(SUITES), st.integers(-1, 1))
@settings(max_examples=60, deadline=None)
def test_what_a_wallet_makes_a_verifier_accepts(credential, suite, offset):
    found = check_presentation(code(suite, STEP + offset, credential=credential), NOW, RING, WINDOW)
    assert isinstance(found, AuthenticPresentation)
    assert found.credential_id == credential


def test_no_key_and_no_holder_is_in_any_repr():
    epoch = DerivedKeys(SECRETS[1])
    wallet = derive_wallet_keys(epoch, 0x11, CREDENTIAL)
    found = check_presentation(code(1), NOW, RING, WINDOW)
    shown = " ".join(map(repr, (SECRETS[1], epoch, epoch.compact[1], RING, wallet, found)))
    secrets = (SECRETS[1].master, SECRETS[1].seal_private, wallet.holder_key, CREDENTIAL)
    for secret in secrets:
        assert secret.hex() not in shown
        assert repr(secret) not in shown


VECTORS = Path(__file__).resolve().parents[2].parent / "shared" / "protocol" / "kh1-vectors.json"


@pytest.mark.skipif(not VECTORS.is_file(), reason="the published vectors aren't beside the project")
def test_the_published_vectors_hold():
    vectors = json.loads(VECTORS.read_text())
    ring = KeyRing.derive(
        EpochKeys(
            key_epoch=e["key_epoch"], master=bytes.fromhex(e["master_hex"]),
            seal_private=bytes.fromhex(e["hpke_private_hex"]),
        )
        for e in vectors["key_epochs"]
    )
    for row in vectors["accept"]:
        found = check_presentation(row["code"], row["time"], ring, WINDOW)
        assert isinstance(found, AuthenticPresentation), row
        assert found.credential_id.hex() == row["credential_id_hex"]
    for row in vectors["reject"]:
        assert reason(row["code"], row["time"], ring=ring) == row["reason"], row
