"""The answer of a verification, in the shape that gates hold on to.

- Field names are the interface; additions are welcome, changes are not.
- Built only by the pipeline; encoded only by edge.web.
"""

import msgspec

from edge.protocol.journal import Evidence, FaceEvidence, Receipt
from edge.protocol.records import Words


class CredentialShown(msgspec.Struct, frozen=True):
    """What a gate may know of a known credential whatever the decision."""

    type: str
    status: str
    valid_until: str | None
    """ISO date in China's time zone, None if it has no end."""


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """The body of `200`, whatever the decision. `None` members are sent as null."""

    verification_id: str
    decision: str
    reason: str
    message: Words
    next: str | None
    credential: CredentialShown | None
    disclosed: dict[str, str] | None
    face: FaceEvidence | None
    evidence: Evidence
    receipt: Receipt
    otherwise: str | msgspec.UnsetType = msgspec.UNSET
    """Of an identification: a step that is open besides `next`, a face never being the only way;
    not sent otherwise."""


class Outcome(msgspec.Struct, frozen=True):
    """An answer and the milliseconds its stages took (`Server-Timing`)."""

    answer: Answer
    timings_ms: dict[str, float]
    """Stages `decode`, `authenticate`, `cache`, `face`, `journal` that were run."""
