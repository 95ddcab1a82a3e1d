"""Token Status Lists: the draft's own examples, and four answers that never mix."""

import base64
import zlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from edge.hotpath import statuslist
from edge.hotpath.statuslist import (
    StatusList,
    StatusListError,
    inflate,
    make_token,
    newest_status,
    open_token,
    pack,
    parse_claims,
)
from edge.protocol import cose
from edge.protocol.records import Status, StatusRecord

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
URI, NOW = "kanhe:ningbo/0", 1_900_000_000

ONE_BIT = "eNrbuRgAAhcBXQ"
ONE_BIT_VALUES = [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1]
TWO_BITS = "eNo76fITAAPfAgc"
TWO_BITS_VALUES = [1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3]
MILLION_ONE_BIT = (
    "eNrt3AENwCAMAEGogklACtKQPg9LugC9k_ACvreiogEAAKkeCQAAAAAAAAAAAAAAAAAAAIBylgQAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAXG9IAAAAAAAAAPwsJAAAAAAAAAAAAAAAvhsSAAAAAAAAAAAA7KpL"
    "AAAAAAAAAAAAAAAAAAAAAJsLCQAAAAAAAAAAADjelAAAAAAAAAAAKjDMAQAAAACAZC8L2AEb"
)
MILLION_ONE_BIT_SET = {
    0: 1, 1993: 1, 25460: 1, 159495: 1, 495669: 1, 554353: 1, 645645: 1, 723232: 1, 854545: 1,
    934534: 1, 1000345: 1,
}
MILLION_TWO_BITS = (
    "eNrt2zENACEQAEEuoaBABP5VIO01fCjIHTMStt9ovGVIAAAAAABAbiEBAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAEB5WwIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAID0ugQAAAAAAAAAAAAAAAAAQG12SgAAAAAAAAAAAAAAAAAAAAAAAAAAAOCSIQ"
    "EAAAAAAAAAAAAAAAAAAAAAAAD8ExIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAwJEuAQAAAAAAAAAAAAAA"
    "AAAAAAAAAMB9SwIAAAAAAAAAAAAAAAAAAACoYUoAAAAAAAAAAAAAAEBqH81gAQw"
)
MILLION_TWO_BITS_SET = {
    0: 1, 1993: 2, 25460: 1, 159495: 3, 495669: 1, 554353: 1, 645645: 2, 723232: 1, 854545: 1,
    934534: 2, 1000345: 3,
}
# Section 5.2's token, up to its ES256 signature, which isn't ours to check.
DRAFT_PROTECTED = bytes.fromhex("a2012610781a6170706c69636174696f6e2f7374617475736c6973742b637774")
DRAFT_PAYLOAD = bytes.fromhex(
    "a502782168747470733a2f2f6578616d706c652e636f6d2f7374617475736c697374732f31061a648c5bea041a8898"
    "dfea19fffe19a8c019fffda2646269747301636c73744a78dadbb918000217015d")


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def a_list(values=(0, 1, 2, 3), bits=2, **differently) -> StatusList:
    entries = differently.pop("statuses", None)
    return StatusList(**{
        "uri": URI, "bits": bits, "issued_s": NOW, "expires_s": NOW + 1000, "ttl_s": 300,
        "statuses": pack(values, bits) if entries is None else entries, **differently})


def token_of(claims: dict, key=KEY, protected=statuslist._PROTECTED) -> bytes:
    return cose.sign(key, protected, cose.dump(claims))


def claims_of(lst: bytes, bits: object = 2) -> dict:
    return {2: URI, 6: NOW, 4: NOW + 1, 65534: 300, 65533: {"bits": bits, "lst": lst}}


@pytest.mark.parametrize("text,bits,values", [
    (ONE_BIT, 1, ONE_BIT_VALUES), (TWO_BITS, 2, TWO_BITS_VALUES)])
def test_the_drafts_small_examples_are_read_and_written(text, bits, values):
    entries = inflate(decoded(text))
    assert entries == {1: bytes.fromhex("b9a3"), 2: bytes.fromhex("c944f9")}[bits]
    assert pack(values, bits) == entries
    assert statuslist.deflate(entries) == decoded(text)
    held = a_list(statuses=entries, bits=bits)
    assert [held.value(index) for index in range(len(values))] == values


@pytest.mark.parametrize("text,bits,expected", [
    (MILLION_ONE_BIT, 1, MILLION_ONE_BIT_SET), (MILLION_TWO_BITS, 2, MILLION_TWO_BITS_SET)])
def test_the_drafts_lists_of_a_million_are_read(text, bits, expected):
    held = a_list(statuses=inflate(decoded(text)), bits=bits)
    assert len(held.statuses) == 2**20 * bits // 8
    found = {index: value for index in range(2**20) if (value := held.value(index))}
    assert found == expected


def test_the_drafts_cwt_is_read():
    found = parse_claims(cose.load_claims(DRAFT_PAYLOAD))
    assert (found.uri, found.ttl_s) == ("https://example.com/statuslists/1", 43200)
    assert (found.issued_s, found.expires_s) == (1686920170, 2291720170)
    assert [found.value(index) for index in range(16)] == ONE_BIT_VALUES
    ours, theirs = cose.load_claims(statuslist._PROTECTED), cose.load_claims(DRAFT_PROTECTED)
    assert ours[16] == theirs[16] == "application/statuslist+cwt"


@given(st.sampled_from(statuslist.BITS), st.data())
def test_what_was_packed_is_found_again(bits, data):
    values = data.draw(st.lists(st.integers(0, 2**bits - 1), max_size=50))
    held = a_list(values, bits)
    assert [held.value(index) for index in range(len(values))] == values


def test_four_answers_are_four():
    held = a_list([0, 1, 2, 3])
    assert [held.status(index, NOW) for index in range(5)] == [
        Status.VALID, Status.REVOKED, Status.SUSPENDED, None, None]
    assert held.status(-1, NOW) is None


def test_only_valid_grows_old():
    held = a_list([0, 1, 2, 0])
    for late, expected in ((999, Status.VALID), (1000, None), (10**9, None)):
        assert held.status(0, NOW + late) is expected
        assert held.status(1, NOW + late) is Status.REVOKED
        assert held.status(2, NOW + late) is Status.SUSPENDED


def test_a_signed_list_comes_back():
    assert open_token(make_token(a_list(), KEY), [KEY.public_key()], URI) == a_list()


@pytest.mark.parametrize("token,words", [
    (make_token(a_list(), Ed25519PrivateKey.generate()), "no known key"),
    (make_token(a_list(uri="kanhe:ningbo/1"), KEY), "another list"),
    (token_of(claims_of(statuslist.deflate(b"\0")), protected=cose.protected_header()),
     "another purpose"),
    (make_token(a_list(), KEY)[:-1], "platform's"), (b"", "platform's"),
    (bytes(statuslist.TOKEN_BYTES_MAX + 1), "over"),
    (token_of({2: URI}), "isn't a status list's"),
    (token_of({"2": URI}), "no map of claims"),
    (token_of(claims_of(statuslist.deflate(b"\0"), bits=3)), "bits"),
    (token_of(claims_of(statuslist.deflate(b"\0"), bits="2")), "isn't a status list's"),
    (token_of(claims_of(b"not zlib")), "inflate"),
    (token_of(claims_of(statuslist.deflate(b"abc")[:-1])), "cut short"),
    (token_of(claims_of(statuslist.deflate(b"abc") + b"x")), "follows"),
])
def test_a_token_of_another_form_or_key_is_refused_in_words(token, words):
    with pytest.raises(StatusListError, match=words):
        open_token(token, [KEY.public_key()], URI)


def test_every_flipped_bit_is_refused():
    token = make_token(a_list(), KEY)
    for place in range(len(token) * 8):
        broken = bytearray(token)
        broken[place // 8] ^= 1 << place % 8
        with pytest.raises(StatusListError):
            open_token(bytes(broken), [KEY.public_key()], URI)


def test_a_bomb_is_refused_before_it_unfolds():
    bomb = zlib.compress(bytes(64 * 1024 * 1024), 9)
    assert len(bomb) > statuslist.TOKEN_BYTES_MAX
    small = zlib.compress(bytes(16 * 1024 * 1024), 9)
    with pytest.raises(StatusListError, match="over"):
        open_token(token_of(claims_of(small)), [KEY.public_key()], URI)


def told(status: Status, at_s: int) -> StatusRecord:
    return StatusRecord(credential_id=bytes(16), status=status, changed_s=at_s)


@pytest.mark.parametrize("feed,listed,as_of,expected", [
    (None, None, None, Status.VALID),
    (None, Status.VALID, None, Status.VALID),
    (None, Status.SUSPENDED, None, Status.SUSPENDED),
    (None, Status.REVOKED, NOW + 9, Status.REVOKED),
    (told(Status.REVOKED, 0), Status.VALID, NOW + 9, Status.REVOKED),
    (told(Status.SUSPENDED, NOW - 1), Status.VALID, NOW - 1, Status.VALID),
    (told(Status.SUSPENDED, NOW), Status.VALID, NOW, Status.SUSPENDED),
    (told(Status.SUSPENDED, NOW - 1), None, NOW, Status.SUSPENDED),
    # Restored since: the feed's silence is newer than the list.
    (None, Status.SUSPENDED, NOW + 1, Status.VALID),
    (None, Status.SUSPENDED, NOW - 1, Status.SUSPENDED),
])
def test_revoked_is_final_and_else_the_newer_word_counts(feed, listed, as_of, expected):
    assert newest_status(feed, listed, NOW, as_of) is expected


def test_packing_refuses_what_does_not_fit():
    with pytest.raises(StatusListError):
        pack([4], 2)
    with pytest.raises(StatusListError):
        pack([0], 3)
