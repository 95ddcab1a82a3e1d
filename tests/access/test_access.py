"""Accounts, sessions, tries and the local authority, without a browser."""

import datetime
import ssl

import msgspec
import pytest
from cryptography import x509

from edge.access.accounts import Account, FileAccounts, Role, hash_password, password_holds
from edge.access.attempts import (
    TRIES_BY_ADDRESS_MAX,
    TRIES_BY_NAME_MAX,
    TRIES_BY_PAIR_MAX,
    WINDOW_S,
    Attempts,
)
from edge.access.certificates import LOCAL_DOMAINS, server_names
from edge.access.sessions import Session, Sessions, open_claims, seal_claims
from edge.access.tls import LocalAuthority, Tls, pin_holds, tls_mode
from edge.errors import ConfigError, KeyFileError, StoreError
from edge.ui.pages import local_path
from edge.web.callers import Desk

NOW = datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC)
ACCOUNT = Account(name="wen", role=Role.SUPERVISOR, password_hash="x")


def days(count: float) -> datetime.timedelta:
    return datetime.timedelta(days=count)


def test_a_password_holds_and_others_dont_and_short_ones_arent_taken():
    account = msgspec.structs.replace(ACCOUNT, password_hash=hash_password("ten characters"))
    assert password_holds("ten characters", account)
    assert not password_holds("ten character", account)
    assert not password_holds("ten characters", None)
    assert not password_holds("ten characters", msgspec.structs.replace(account, disabled=True))
    assert "argon2id" in account.password_hash
    assert account.password_hash not in repr(account)
    with pytest.raises(ConfigError):
        hash_password("short")


async def test_accounts_outlive_a_restart_and_a_damaged_file_is_said(tmp_path):
    path = tmp_path / "accounts.json"
    await FileAccounts(path).put(ACCOUNT)
    assert await FileAccounts(path).find("wen") == ACCOUNT
    assert path.stat().st_mode & 0o077 == 0
    path.write_text("{")
    with pytest.raises(StoreError, match="damaged"):
        await FileAccounts(path).find("wen")


def test_a_session_is_read_until_its_end_and_never_when_altered():
    sessions = Sessions(b"k" * 32, 60)
    session, cookie = sessions.begin(ACCOUNT, 1000.0)
    assert sessions.read(cookie, 1059.9) == session
    assert sessions.read(cookie, 1060.0) is None
    for place in (0, len(cookie) // 2, len(cookie) - 2):
        altered = cookie[:place] + ("A" if cookie[place] != "A" else "B") + cookie[place + 1:]
        assert sessions.read(altered, 1001.0) is None
    assert Sessions(b"j" * 32).read(cookie, 1001.0) is None


def test_a_desks_lock_is_no_session_under_the_same_key():
    desk = Desk(gate_id="g", scene="s", by="wen", at_s=1)
    sealed = seal_claims(b"k" * 32, desk)
    assert open_claims(b"k" * 32, sealed, Desk) == desk
    assert open_claims(b"k" * 32, sealed, Session) is None


def test_guessing_waits_and_the_owner_elsewhere_doesnt():
    attempts = Attempts()
    for _ in range(TRIES_BY_PAIR_MAX):
        assert attempts.wait_s("wen", "10.0.0.1", 0.0) == 0.0
        attempts.failed("wen", "10.0.0.1", 0.0)
    assert attempts.wait_s("wen", "10.0.0.1", 1.0) == WINDOW_S - 1.0
    assert attempts.wait_s("wen", "10.0.0.2", 1.0) == 0.0
    assert attempts.wait_s("wen", "10.0.0.1", WINDOW_S) == 0.0


def test_two_hundred_wrong_passwords_stop_an_address_and_then_a_name():
    attempts = Attempts()
    tried = 0
    for number in range(200):
        if attempts.wait_s(f"name{number}", "10.0.0.1", 0.0) == 0.0:
            attempts.failed(f"name{number}", "10.0.0.1", 0.0)
            tried += 1
    assert tried == TRIES_BY_ADDRESS_MAX
    for number in range(TRIES_BY_NAME_MAX):
        attempts.failed("wen", f"10.1.0.{number}", 0.0)
    assert attempts.wait_s("wen", "10.9.9.9", 0.0) > 0.0


@pytest.mark.parametrize("text", ["//evil.example", "https://evil.example", "/\\evil", "", None])
def test_nobody_is_led_to_another_origin(text):
    assert local_path(text) == "/"


def test_clear_http_is_for_loopback_unless_somebody_insists():
    assert tls_mode(Tls(), "127.0.0.1", insecure=False) == "off"
    assert tls_mode(Tls(), "0.0.0.0", insecure=False) == "local"
    assert tls_mode(Tls(), "0.0.0.0", insecure=True) == "off"
    with pytest.raises(ConfigError, match="insecure"):
        tls_mode(Tls(mode="off"), "0.0.0.0", insecure=False)


def test_the_authority_renews_under_one_key_and_speaks_for_local_names_only(tmp_path):
    authority = LocalAuthority(tmp_path, ["desk.local"], NOW)
    pin, pem = authority.pin, authority.pem
    assert not authority.renew(NOW + days(59))
    assert authority.renew(NOW + days(61))
    assert authority.pem == pem
    assert authority.renew(NOW + days(3_650 - 364))
    assert authority.pem != pem
    assert pin_holds(authority.pem, pin)
    assert not pin_holds(authority.pem, "0" * 64)
    limits = authority.certificate.extensions.get_extension_for_class(x509.NameConstraints)
    assert limits.critical
    names = {item.value for item in limits.value.permitted_subtrees or []}
    assert set(LOCAL_DOMAINS) < names
    with pytest.raises(ConfigError, match="example"):
        server_names(["www.example.com"])
    assert (tmp_path / "authority.key").stat().st_mode & 0o077 == 0


def test_a_damaged_authority_says_what_to_do(tmp_path):
    LocalAuthority(tmp_path, [], NOW)
    (tmp_path / "server.crt").write_text("nonsense")
    with pytest.raises(KeyFileError, match="remove the folder"):
        LocalAuthority(tmp_path, [], NOW)


def test_a_client_with_the_authority_believes_the_server(tmp_path):
    LocalAuthority(tmp_path, [], datetime.datetime.now(datetime.UTC))
    context = ssl.create_default_context(cafile=str(tmp_path / "authority.crt"))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    server, client = ssl.MemoryBIO(), ssl.MemoryBIO()
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(tmp_path / "server.crt", tmp_path / "server.key")
    ours = context.wrap_bio(server, client, server_hostname="127.0.0.1")
    theirs = serving.wrap_bio(client, server, server_side=True)
    for _ in range(6):
        for side in (ours, theirs):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert ours.getpeercert()["subjectAltName"]
