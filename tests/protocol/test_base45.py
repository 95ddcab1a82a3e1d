"""Base45: RFC 9285's examples, strictness, and the compiled loop beside its twin."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.protocol import base45
from edge.protocol.kernels import ALPHABET, decode_groups, decode_plain


@pytest.mark.parametrize(
    "data,text",
    [
        (b"AB", "BB8"), (b"Hello!!", "%69 VD92EX0"), (b"base-45", "UJCLQE7W581"),
        (b"ietf!", "QED8WEX0"),
    ],
)
def test_the_examples_of_the_rfc_hold(data, text):
    assert base45.encode(data) == text
    assert base45.decode(text) == data


@pytest.mark.parametrize(
    "text", ["GGW", ":::", "A", "AAAA", "::", "V5", "ab8", "BB8\n", "BB８", "\ud800AA"]
)
def test_what_is_not_base45_is_refused(text):
    with pytest.raises(base45.Base45Error):
        base45.decode(text)


@given(st.binary(max_size=200))
def test_every_binary_has_exactly_one_text(data):
    assert base45.decode(base45.encode(data)) == data


@given(st.text(alphabet=ALPHABET + "a_", max_size=40))
def test_the_compiled_loop_agrees_with_its_twin_and_texts_are_canonical(text):
    octets = np.frombuffer(text.encode(), np.uint8)
    fast, plain = np.zeros(80, np.uint8), np.zeros(80, np.uint8)
    written = decode_groups(octets, 0, fast)
    assert written == decode_plain(octets, 0, plain)
    if written >= 0:
        assert fast[:written].tobytes() == plain[:written].tobytes()
        assert base45.encode(fast[:written].tobytes()) == text


@given(st.lists(st.one_of(
    st.binary(max_size=60).map(lambda data: "KH1:" + base45.encode(data)),
    st.text(alphabet=ALPHABET + "aé\ud800", max_size=12))), st.integers(0, 4))
def test_texts_that_are_decoded_together_give_what_each_gives_alone(texts, start):
    def alone(text: str) -> bytes | None:
        try:
            return base45.decode(text, start)
        except base45.Base45Error:
            return None

    assert base45.decode_all(texts, start) == [alone(text) for text in texts]
