"""The simulator's codes are genuine: the verifier's own rules say so."""

import msgspec
import pytest

from edge.hotpath.presentation import AuthenticPresentation, DriftWindow, check_presentation
from edge.protocol.kh1 import SUITES
from loadtest.data import GATES, WALLETS, load_data
from loadtest.errors import LoadTestError
from loadtest.wallet import Crowd, Wallet, rate_borne
from tests.loadtest.conftest import NOW, STEP, wallet_line


@pytest.mark.parametrize("suite", SUITES)
def test_a_code_of_every_suite_is_genuine_and_of_its_credential(epoch, ring, suite):
    line = wallet_line(epoch, 77)
    found = check_presentation(Wallet(line, suite).code(STEP), NOW, ring, DriftWindow())
    assert isinstance(found, AuthenticPresentation)
    assert found.credential_id.hex() == line.credential_id
    assert found.step == STEP


def test_every_wallet_shows_once_a_step_and_then_the_crowd_is_spent(epoch):
    crowd = Crowd([Wallet(wallet_line(epoch, n), 1) for n in range(3)])
    shown = set()
    for _ in range(3):
        wallet = crowd.next(STEP)
        shown.add(wallet.code(STEP))
    assert len(shown) == 3
    assert crowd.next(STEP) is None
    assert crowd.next(STEP + 1) is not None


def test_no_wallets_have_nobody_to_show(epoch):
    assert Crowd([]).next(STEP) is None


def test_a_day_without_keys_says_to_make_the_data_anew(epoch):
    with pytest.raises(LoadTestError, match="make the data anew"):
        Wallet(wallet_line(epoch, 1), 1).code(STEP + 17_280 * 3)


def test_the_rate_borne_leaves_a_reserve():
    assert rate_borne(3_000) == 500.0


def test_files_are_read_back_and_show_no_key(tmp_path, city_data):
    encoder = msgspec.json.Encoder()
    (tmp_path / WALLETS).write_bytes(encoder.encode_lines(city_data.wallets))
    (tmp_path / GATES).write_bytes(encoder.encode_lines(city_data.gates))
    (tmp_path / "faces").mkdir()
    (tmp_path / "faces" / "h0-0.jpg").write_bytes(b"\xff\xd8face")
    found = load_data(tmp_path)
    assert found == city_data
    shown = repr(found) + repr(found.wallets[0]) + repr(found.gates[0])
    assert "secret" not in shown
    assert repr(found.wallets[0].keys[0].holder_key) not in shown


@pytest.mark.parametrize("content", [b"", b"{}\n", b"\xff\n", b'{"credential_id":1}\n'])
def test_a_damaged_file_is_named_without_its_content(tmp_path, content):
    (tmp_path / WALLETS).write_bytes(content)
    with pytest.raises(LoadTestError, match=WALLETS) as caught:
        load_data(tmp_path)
    assert caught.value.__cause__ is None
