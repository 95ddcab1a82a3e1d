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
