"""What the central platform tells and a node holds: the records of the city.

- Frozen msgspec structs, the same on the wire and in memory.
- Ids are 16 raw bytes; times are whole Unix seconds (`_s`); an end is exclusive.
- Unknown fields are ignored on decoding, so a record can grow.
"""

from enum import StrEnum
from typing import Literal

import msgspec

CREDENTIAL_TYPES: tuple[str, ...] = (
    "resident_id", "household_register", "marriage_certificate", "driving_licence",
    "vehicle_licence", "residence_permit", "ebike_registration", "health_card",
    "social_security_card", "lawyer_licence", "subsistence_allowance",
    "compulsory_motor_policy", "commercial_motor_policy", "road_transport_certificate",
    "transport_qualification", "foreign_passport", "disability_certificate",
    "graduation_certificate", "birth_certificate", "teacher_qualification",
    "degree_certificate",
    "kinship_proof", "no_criminal_record", "floating_population_registration",
    "driver_information", "vehicle_information", "household_change",
    "household_cancellation",
)
REGION_CHARS_MAX = 16
REGION_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,15}\Z"
"""A region is a short code that the issuer gives, a district's for example (`330203`)."""


class Status(StrEnum):
    """Three different things; *unknown* is the absence of all three."""

    VALID = "valid"
    SUSPENDED = "suspended"
    REVOKED = "revoked"


class CredentialRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What the issuer granted.

    Attributes:
        credential_id: 16 bytes, never shown in clear by a wallet.
        holder_id: 16 bytes; references belong to holders.
        type: One of `CREDENTIAL_TYPES`.
        valid_from_s: First second of validity.
        valid_until_s: First second after validity, or None for no end.
        fields: Personal fields by name (`name`, `id_number`, …).
        updated_s: When the issuer last changed this record.
        region: Of its holder, see `REGION_PATTERN`; empty = none is known.
    """

    credential_id: bytes
    holder_id: bytes
    type: str
    valid_from_s: int
    valid_until_s: int | None
    fields: dict[str, str]
    updated_s: int = 0
    region: str = ""


class ReferenceRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A stored biometric template (ISO/IEC 24745 terms).

    Attributes:
        holder_id: 16 bytes.
        pack: Id of the model pack that made it; others can't compare it.
        template: int8 features as bytes, length fixed by the pack.
        created_s: When its photograph was enrolled.
        expires_s: First second it may no longer be used, or None.
        purpose: What the holder consented to: `verification`, or `identification`, which
            includes it.
        consent: Number of the consent in the platform's record; 0 = none is named.
        consent_s: When that consent was given.
        generation: Of the node's renewable rotation; 0 = none, as the platform sends it.
        fine: What rounding left over, int8 features as bytes; only at the node.
        region: Of its holder, as in `CredentialRecord`.
    """

    holder_id: bytes
    pack: str
    template: bytes
    created_s: int
    expires_s: int | None = None
    purpose: str = "verification"
    consent: int = 0
    consent_s: int = 0
    generation: int = 0
    fine: bytes = b""
    region: str = ""


class StatusRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The status of one credential since `changed_s`."""

    credential_id: bytes
    status: Status
    changed_s: int


class Words(msgspec.Struct, frozen=True):
    """One text in both languages."""

    zh: str
    en: str


Mask = Literal["full", "name", "id_number", "plate", "last4", "year"]
"""How a disclosed field is masked; `full` shows it whole."""


class Disclosure(msgspec.Struct, frozen=True):
    """One field that a scene may see on accept, and how much of it."""

    field: str
    mask: Mask


class ScenePolicy(msgspec.Struct, frozen=True, kw_only=True):
    """The rules of one kind of place.

    Attributes:
        scene: `hotel.checkin`, `police.roadside`, …
        version: Rises with every change.
        accepts: Credential types accepted here.
        suites: KH1 suites admitted here.
        steps_back, steps_ahead: The drift window in steps of 5 s.
        face: Whether the face is part of a verification here.
        fmr_max: The false match rate (per comparison) the scene needs.
        fnmr_max: The false non-match rate it bears at that FMR; None = any.
        pack_override: The words that justify using a pack that can't meet them.
        no_match, attack: Decision on those reasons (`reject` or `refer`); a failed challenge is
            decided as an attack.
        pad: Presentation attack detection: required, as far as it is available, off.
        challenge: Active challenge and response: required, judged if a gate sends one, off.
        challenge_actions: How many actions a challenge has.
        challenge_open_s: How long a challenge may be answered.
        purpose: What a reference must have been given for to be used here.
        reference_age_max_days: Oldest reference used here; None = as long as it is valid.
        identification: Whether a face without a code may be looked for here.
        fpir_max: Share of searches for unknown persons that may find somebody.
        identification_margin: How far the second best must be behind, as a cosine.
        trust_age_max_s: Oldest believable status; None = no bound.
        trust_stale: Decision when status is older (`refer` or `reject`).
        clock_degraded: What a degraded clock still does: judge, judge by a window that is a step
            narrower on both sides, or refer.
        cards: Whether a card in a sealed code speaks for a credential that isn't held here:
            not read, read where a status list tells its status, or read without one too.
        capture_open_s, capture_tries: How long and how often a face may follow its code.
        disclose: What the gate sees on accept.
    """

    scene: str
    version: int
    title: Words
    accepts: tuple[str, ...]
    suites: tuple[int, ...] = (0x01, 0x02, 0x11)
    steps_back: int = 1
    steps_ahead: int = 1
    face: Literal["required", "off"] = "required"
    fmr_max: float = 1e-3
    fnmr_max: float | None = None
    pack_override: str = ""
    no_match: Literal["reject", "refer"] = "reject"
    attack: Literal["reject", "refer"] = "reject"
    pad: Literal["required", "if_available", "off"] = "if_available"
    challenge: Literal["off", "if_available", "required"] = "off"
    challenge_actions: Literal[1, 2] = 1
    challenge_open_s: int = 20
    purpose: Literal["verification", "identification"] = "verification"
    reference_age_max_days: int | None = None
    identification: Literal["off", "allowed"] = "off"
    fpir_max: float = 0.01
    identification_margin: float = 0.01
    trust_age_max_s: int | None = None
    trust_stale: Literal["refer", "reject"] = "refer"
    clock_degraded: Literal["judge", "narrow", "refer"] = "judge"
    cards: Literal["off", "with_status", "without_status"] = "with_status"
    capture_open_s: int = 60
    capture_tries: int = 5
    disclose: tuple[Disclosure, ...] = ()


class GateRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An authenticated capture device.

    Attributes:
        gate_id: Short public id.
        secret_hash: SHA-256 (32 bytes) of the 32-byte random secret in its bearer credential.
        scenes: Scenes it may name.
        node_id: The node it belongs to; empty = any node of the feed.
        label: Where it stands, in words.
        revoked: Refused from then on.
        rate_per_s: Calls a second that it may make for ever; None = as the node's configuration
            says. The node's own bound holds all the same.
    """

    gate_id: str
    secret_hash: bytes
    scenes: tuple[str, ...]
    node_id: str = ""
    label: str = ""
    revoked: bool = False
    rate_per_s: float | None = None


class EpochKeys(msgspec.Struct, frozen=True, kw_only=True):
    """The secrets of one key epoch; exists in clear only inside a verifier's memory."""

    key_epoch: int
    master: bytes
    seal_private: bytes

    def __repr__(self) -> str:
        """Show the epoch only."""
        return f"EpochKeys(key_epoch={self.key_epoch}, master=…, seal_private=…)"
