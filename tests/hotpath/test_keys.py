"""The keyed hash against RFC 4231's examples and the library's."""

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.hotpath.keys import mac_sha256


@pytest.mark.parametrize("key,data,expected", [
    (b"\x0b" * 20, b"Hi There",
     "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
    (b"Jefe", b"what do ya want for nothing?",
     "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
    (b"\xaa" * 20, b"\xdd" * 50,
     "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
    (bytes(range(1, 26)), b"\xcd" * 50,
     "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"),
])
def test_the_examples_of_rfc_4231(key, data, expected):
    assert mac_sha256(key, data).hex() == expected


@given(st.binary(max_size=64), st.binary(max_size=300))
def test_it_is_the_librarys(key, data):
    assert mac_sha256(key, data) == hmac.digest(key, data, "sha256")


def test_a_longer_key_is_refused():
    with pytest.raises(ValueError, match="64"):
        mac_sha256(bytes(65), b"")
