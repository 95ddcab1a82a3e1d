"""The journal's records: what a node remembers of each verdict, and ships.

- A record holds no name, image, code or template; ids, decisions and evidence only.
- The bytes of a record are its Merkle leaf (RFC 6962 §2.1: SHA-256(0x00 ‖ bytes)),
  so they are encoded once and never re-encoded.
- The structs hold no cycles, so the garbage collector is told to pass them by.
- From a record and the current credential the answer of a verification can be
  made again, which is what makes `request_id` idempotent across a restart.
"""

from typing import Literal

import msgspec

RECORD_BYTES_MAX = 4_096
UPLOAD_RECORDS_MAX = 2_000
UPLOAD_BYTES_MAX = 4 * 1024 * 1024


class FaceEvidence(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a comparison found.

    Attributes:
        score, threshold: On `scale`.
        fmr: What the threshold was fitted for, per comparison.
        pad_checks: What was checked of liveness: `passive`, `still`, `challenge`.
        scale: `raw` = cosine; `normalised` = held against the node's own population.
        calibration: Who fitted the threshold: the pack's maker, the site from labelled images,
            or the node from its own cohort.
    """

    score: float
    threshold: float
    fmr: float
    model: str
    pad: Literal["passed", "failed", "not_checked"]
    scale: Literal["raw", "normalised"] = "raw"
    calibration: Literal["pack", "site", "cohort"] = "pack"
    pad_checks: tuple[str, ...] = ()
    gallery: int | msgspec.UnsetType = msgspec.UNSET
    """Of an identification: how many references were searched."""
    margin: float | msgspec.UnsetType = msgspec.UNSET
    """Of an identification with a second best: how far that was behind."""


class Evidence(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How fresh what the verdict rests on was. Ages in whole seconds; None = none held."""

    mode: Literal["online", "offline"]
    clock: Literal["trusted", "degraded", "untrusted"]
    keys_age_s: int | None
    status_age_s: int | None
    credential_age_s: int | None
    policy_version: int
    replay_scope: Literal["node", "site"]


class VerificationRecord(
    msgspec.Struct, frozen=True, kw_only=True, tag="verification/1", gc=False
):
    """One answer of this node.

    Attributes:
        verification_id: 32 hex characters; several records may share it (captures, decision).
        kind: Which call gave the answer.
        at_ms: Unix milliseconds when the rules were run.
        gate_id, scene: Where.
        request_digest: First 16 bytes of SHA-256(gate_id ‖ 0 ‖ request_id).
        body_digest: First 16 bytes of SHA-256 of the call's canonical content.
        decision, reason: The verdict.
        credential_id: 16 bytes once the code is genuine, else None.
        credential_type, credential_status: Once the credential is known.
        suite, step: Of the genuine code, else None.
        why: Detail of the reason (what made a code or face unusable), empty if none.
        disclosed: Names (not values) of the fields that were shown.
        actor, note: The operator and the words of a decision; empty otherwise.
    """

    verification_id: str
    kind: Literal["verification", "capture", "decision", "identification", "roadside"]
    at_ms: int
    gate_id: str
    scene: str
    request_digest: bytes
    body_digest: bytes
    decision: str
    reason: str
    credential_id: bytes | None
    credential_type: str
    credential_status: str
    suite: int | None
    step: int | None
    evidence: Evidence
    face: FaceEvidence | None = None
    why: str = ""
    disclosed: tuple[str, ...] = ()
    actor: str = ""
    note: str = ""


class EventRecord(msgspec.Struct, frozen=True, kw_only=True, tag="event/1"):
    """Something that happened to the node itself: start, stop, trust, clock, pack."""

    at_ms: int
    event: str
    detail: dict[str, str | int | float]


JournalRecord = VerificationRecord | EventRecord


class Receipt(msgspec.Struct, frozen=True, gc=False):
    """A record's place in the journal. `leaf` is the RFC 6962 leaf hash, hex."""

    log: str
    index: int
    leaf: str


class JournalUpload(msgspec.Struct, frozen=True, kw_only=True):
    """A run of records `first … first+len-1` of one node's log, as their exact bytes."""

    log: str
    first: int
    records: tuple[bytes, ...]


class JournalAck(msgspec.Struct, frozen=True):
    """The central platform holds every record before `next`."""

    next: int


def decode_record(data: bytes) -> JournalRecord:
    """Parse one record.

    Raises:
        msgspec.DecodeError: The bytes are no record of a version known here.
    """
    return _DECODER.decode(data)


def encode_record(record: JournalRecord) -> bytes:
    """Give the one encoding that is hashed, stored and shipped."""
    return _ENCODER.encode(record)


_DECODER: msgspec.msgpack.Decoder[JournalRecord] = msgspec.msgpack.Decoder(JournalRecord)
_ENCODER = msgspec.msgpack.Encoder()
