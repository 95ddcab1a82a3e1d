"""The answer of a verification, in the shape that gates hold on to.

- Field names are the interface; additions are welcome, changes are not.
- Built and encoded once, by the pipeline; edge.web sends the bytes, the first time and every time
  the same request comes again.
"""

import msgspec

from edge.protocol.journal import Evidence, FaceEvidence, Receipt
from edge.protocol.records import Words


class CredentialShown(msgspec.Struct, frozen=True, gc=False):
    """What a gate may know of a known credential whatever the decision."""

    type: str
    status: str
    valid_until: str | None
    """ISO date in China's time zone, None if it has no end."""


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False, gc=False):
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


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """An encoded answer and the milliseconds its stages took (`Server-Timing`)."""

    body: bytes
    timings_ms: dict[str, float] = {}
    """Stages `decode`, `authenticate`, `cache`, `site`, `face`, `journal` that were run."""

    @property
    def answer(self) -> Answer:
        """The answer, decoded again."""
        return _DECODER.decode(self.body)


def encode_answer(answer: Answer) -> bytes:
    """Give the bytes that a gate gets."""
    return _ENCODER.encode(answer)


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Answer)
