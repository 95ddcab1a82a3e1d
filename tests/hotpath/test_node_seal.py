"""Sealing to a node: hybrid where it has such a key, X25519 from before it, and never a mix."""

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.hotpath.node_seal import HYBRID_BYTES, NodeSeal, check_public, seal_to_node
from edge.node_key import NodeKey

KEY = NodeKey(bytes(range(32)))
HYBRID = KEY.sealing
CLASSIC = NodeSeal(X25519PrivateKey.from_private_bytes(KEY.derive(b"epoch-sealing")))
STRANGER = NodeKey(bytes(32)).sealing


def test_a_node_has_a_hybrid_key_and_the_same_after_a_restart():
    assert len(HYBRID.public) == HYBRID_BYTES == 1_216
    assert NodeKey(bytes(range(32))).seal_public == HYBRID.public != STRANGER.public


@pytest.mark.parametrize("seal", [HYBRID, CLASSIC])
@pytest.mark.parametrize("size", [0, 1, 32, 500])
def test_what_is_sealed_to_a_node_opens_there_for_what_it_was_sealed_for(seal, size):
    data = bytes(size)
    sealed = seal_to_node(data, seal.public, b"info")
    assert seal.open(sealed, b"info") == data
    with pytest.raises(InvalidTag):
        seal.open(sealed, b"other")
    with pytest.raises(InvalidTag):
        STRANGER.open(sealed, b"info")


def test_a_node_enrolled_before_it_had_a_hybrid_key_goes_on():
    sealed = seal_to_node(b"epoch", CLASSIC.public, b"info")
    assert HYBRID.open(sealed, b"info") == b"epoch"


def test_a_node_without_a_hybrid_key_opens_nothing_hybrid():
    with pytest.raises(InvalidTag):
        CLASSIC.open(seal_to_node(b"epoch", HYBRID.public, b"info"), b"info")


def test_one_half_of_the_hybrid_key_opens_nothing():
    """Whoever breaks X25519 lacks ML-KEM's half, and the other way."""
    sealed = seal_to_node(b"epoch", HYBRID.public, b"info")
    for mlkem, x25519 in ((b"epoch-sealing/ml-kem", b"other"), (b"other", b"epoch-sealing/x25519")):
        half = NodeSeal.derived(
            KEY.derive(b"epoch-sealing"), KEY._derive(mlkem, 64), KEY.derive(x25519))
        with pytest.raises(InvalidTag):
            half.open(sealed, b"info")


@pytest.mark.parametrize("public", [
    b"", bytes(31), bytes(32), bytes(33), bytes(1_184), b"\xff" * 1_216, HYBRID.public[:-1],
    HYBRID.public[:1_184] + bytes(32),
])
def test_what_is_no_public_key_is_refused_at_enrolment(public):
    with pytest.raises(ValueError, match=r"."):
        check_public(public)


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.binary(min_size=1_100, max_size=1_300)))
def test_any_bytes_open_to_nothing(data):
    with pytest.raises((InvalidTag, ValueError)):
        HYBRID.open(data, b"info")


def test_no_key_is_in_its_words():
    assert repr(HYBRID) == "NodeSeal(…)"
