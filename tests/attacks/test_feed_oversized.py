"""Oversized: more bytes, signatures or changes than any honest answer has."""

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.hotpath.renewal import DIMENSIONS_MAX
from edge.protocol.feed import (
    CHANGES_MAX,
    ENVELOPE_BYTES_MAX,
    EPOCHS_MAX,
    SIGNATURES_MAX,
    DropCredential,
    DropPolicy,
    DropReference,
    PutGate,
    PutReference,
    SealedEpoch,
)
from edge.protocol.records import GateRecord, ReferenceRecord
from edge.sync.envelope import Refusal, Rule
from tests.attacks.feed_story import GRANTED, NODE, NOW_S, enrolled, refused
from tests.fakes.feed_forge import Forge

SEAL = bytes(range(32))
REFERENCE = ReferenceRecord(holder_id=bytes(16), pack="p", template=b"t", created_s=1)


def test_envelope_over_the_bound_is_refused_unparsed():
    forge = Forge(NOW_S)
    data = forge.batch(0, GRANTED)
    padded = data + bytes(ENVELOPE_BYTES_MAX + 1 - len(data))
    with refused(Rule.SIZE):
        enrolled(forge).changes(padded, NOW_S)
    with refused(Rule.FORM):
        enrolled(forge).changes(padded[:-1], NOW_S)


def test_more_signatures_than_the_bound_are_refused_unchecked():
    forge = Forge(NOW_S)
    signers = forge.keys.changes + [Ed25519PrivateKey.generate()] * SIGNATURES_MAX
    with refused(Rule.FORM):
        enrolled(forge).changes(forge.batch(0, GRANTED, signers=signers), NOW_S)
    enrolled(forge).changes(forge.batch(0, GRANTED, signers=signers[:-1]), NOW_S)


def test_more_changes_than_the_bound_are_refused():
    forge = Forge(NOW_S)
    changes = [DropPolicy("x")] * (CHANGES_MAX + 1)
    with refused(Rule.CONTENT):
        enrolled(forge).changes(forge.batch(0, *changes), NOW_S)
    enrolled(forge).changes(forge.batch(0, *changes[:-1]), NOW_S)


def test_more_key_epochs_than_the_bound_are_refused():
    forge = Forge(NOW_S)
    epochs = tuple(SealedEpoch(day, b"") for day in range(EPOCHS_MAX + 1))
    with refused(Rule.CONTENT):
        enrolled(forge).keys(forge.delivery(NODE, SEAL, epochs=epochs), NOW_S)


def test_key_epoch_that_is_no_day_is_refused():
    forge = Forge(NOW_S)
    for day in (-1, 2**32):
        with refused(Rule.CONTENT):
            enrolled(forge).keys(
                forge.delivery(NODE, SEAL, epochs=(SealedEpoch(day, b""),)), NOW_S)


def test_ids_and_hashes_of_another_length_are_refused():
    forge = Forge(NOW_S)
    for change in (
        DropCredential(bytes(15)), DropCredential(bytes(17)),
        PutGate(GateRecord(gate_id="g", secret_hash=b"", scenes=())),
        PutGate(GateRecord(gate_id="", secret_hash=bytes(32), scenes=())),
        DropPolicy(""), DropPolicy("x" * 129), DropReference(bytes(16), "x" * 129),
        PutReference(msgspec.structs.replace(REFERENCE, template=b"")),
        PutReference(msgspec.structs.replace(REFERENCE, template=bytes(DIMENSIONS_MAX + 1))),
    ):
        with refused(Rule.CONTENT):
            enrolled(forge).changes(forge.batch(0, change), NOW_S)
    enrolled(forge).changes(forge.batch(0, PutReference(REFERENCE)), NOW_S)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_a_refusal_and_nothing_else(data):
    node = enrolled(FORGE)
    for judge in (node.changes, node.keys):
        try:
            judge(data, NOW_S)
        except Refusal:
            continue
        raise AssertionError("random bytes were believed")


FORGE = Forge(NOW_S)


def test_nesting_without_end_is_refused():
    deep = b"\x82\xa4body\xc4\x00\xaasignatures" + b"\x91" * 100_000
    with refused(Rule.FORM):
        enrolled(FORGE).changes(deep, NOW_S)
    unknown = b"\x83\xa4body\xc4\x00\xaasignatures\x90\xa1x" + b"\x91" * 100_000
    with refused(Rule.FORM):
        enrolled(FORGE).changes(unknown, NOW_S)
