"""A few records of a small city, for tests that need some."""

import hashlib

from edge.protocol.records import (
    CredentialRecord,
    EpochKeys,
    GateRecord,
    ScenePolicy,
    Status,
    StatusRecord,
    Words,
)


def id_of(name: str) -> bytes:
    """Give 16 bytes that are always the same for a name."""
    return hashlib.sha256(name.encode()).digest()[:16]


def credential(name: str = "ma") -> CredentialRecord:
    return CredentialRecord(
        credential_id=id_of(name), holder_id=id_of(name + "/holder"), type="resident_id",
        valid_from_s=0, valid_until_s=None, fields={"name": "马某"})


def status(name: str = "ma", value: Status = Status.REVOKED, at_s: int = 0) -> StatusRecord:
    return StatusRecord(credential_id=id_of(name), status=value, changed_s=at_s)


def policy(scene: str = "hotel.checkin", version: int = 1, **more: object) -> ScenePolicy:
    return ScenePolicy(
        scene=scene, version=version, title=Words("酒店入住", "Hotel check-in"),
        accepts=("resident_id",), **more)  # type: ignore[arg-type]


def gate(gate_id: str = "g1", node_id: str = "", *, revoked: bool = False) -> GateRecord:
    return GateRecord(
        gate_id=gate_id, secret_hash=hashlib.sha256(gate_id.encode()).digest(),
        scenes=("hotel.checkin",), node_id=node_id, revoked=revoked)


def epoch(day: int) -> EpochKeys:
    return EpochKeys(
        key_epoch=day, master=hashlib.sha256(b"master%d" % day).digest(),
        seal_private=hashlib.sha256(b"seal%d" % day).digest())
