"""Digests stand in journals: what they are may never change."""

import hashlib

import pytest

from edge.pipeline.digests import body_digest, request_key


def by_definition(scene, presentation, challenge, codes, faces) -> bytes:
    """Lengths as 8 bytes before each text; the number of images, then the digest of each."""
    whole = b""
    for text in (scene, presentation, challenge):
        data = text.encode("utf-8", "surrogatepass")
        whole += len(data).to_bytes(8, "big") + data
    for images in (codes, faces):
        whole += len(images).to_bytes(8, "big")
        for image in images:
            whole += hashlib.sha256(image).digest()
    return hashlib.sha256(whole).digest()[:16]


@pytest.mark.parametrize("content", [
    ("code", "KH1:ABC", "", [], ()), ("", "", "", [], ()), ("face", "", "c1", [b"frame"], (b"a",)),
    ("face", "KH1:ABC", "", [], (b"a", b"b")), ("警", "KH1:码\udc80", "c", [b""], ()),
])
def test_a_body_has_the_digest_of_its_definition(content):
    assert body_digest(*content) == by_definition(*content)


def test_digests_are_those_that_journals_hold():
    assert request_key("g1", "r1").hex() == "2d0e0500f54539efedaf6a096373dddc"
    assert body_digest("code", "KH1:ABC", "", [], ()).hex() == "e0fe24c103baaf9c5de49a1fa7386018"
