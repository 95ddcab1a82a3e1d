"""What the web asks of the pipeline: authenticated calls and what can go wrong.

- A call arrives here only after its gate is authenticated and its body parsed.
- Whatever isn't a verdict is one of the errors below or an `OperatingError`;
  edge.web turns each into its HTTP status.
"""

import msgspec

from edge.protocol.records import GateRecord

REQUEST_ID_CHARS_MAX = 64
FACE_IMAGES_MAX = 16


class VerificationCall(msgspec.Struct, frozen=True, kw_only=True):
    """One `POST /v1/verifications`.

    Attributes:
        presentation: The text, exactly as read; None if a frame holds the code.
        code_image: An encoded frame that holds the code, if there is no text.
        face_images: Encoded frames of the face; may be empty.
        deadline_s: Monotonic time after which no work is begun for it.
        actor: Who is signed in at the desk; empty for a device.
    """

    gate: GateRecord
    scene: str
    request_id: str
    presentation: str | None
    code_image: bytes | None
    face_images: tuple[bytes, ...]
    challenge_id: str | None
    deadline_s: float
    actor: str = ""


class ArrivalsCall(msgspec.Struct, frozen=True, kw_only=True):
    """One `POST /v1/prefetch`.

    Attributes:
        numbers: Document numbers of those who are expected.
        until_s: Unix seconds until which they are; None = for as long as anything that is asked
            for.
        deadline_s: Monotonic time after which nothing more is asked for.
    """

    gate: GateRecord
    scene: str
    numbers: tuple[str, ...]
    until_s: int | None
    deadline_s: float
    actor: str = ""


class CaptureCall(msgspec.Struct, frozen=True, kw_only=True):
    """One `POST /v1/verifications/{id}/captures`."""

    gate: GateRecord
    verification_id: str
    request_id: str
    face_images: tuple[bytes, ...]
    challenge_id: str | None
    deadline_s: float
    actor: str = ""


class DecisionCall(msgspec.Struct, frozen=True, kw_only=True):
    """One `POST /v1/verifications/{id}/decision`.

    Attributes:
        accept: What the person decided.
        note: Why, in their words.
        actor: Who decided.
    """

    gate: GateRecord
    verification_id: str
    request_id: str
    accept: bool
    note: str
    actor: str


class IdentificationCall(msgspec.Struct, frozen=True, kw_only=True):
    """One `POST /v1/identifications`."""

    gate: GateRecord
    scene: str
    request_id: str
    face_images: tuple[bytes, ...]
    deadline_s: float
    actor: str = ""


class CallError(Exception):
    """A call that has no verdict; the message is for the integrator."""


class SceneUnknown(CallError):
    """404: this node has no such scene."""


class SceneForbidden(CallError):
    """403: the scene isn't this gate's."""


class ChallengeOff(CallError):
    """409: the scene's policy has no challenges."""


class VerificationUnknown(CallError):
    """404: no such verification of this gate."""


class VerificationClosed(CallError):
    """409: it has its answer, ran out of time or of tries."""


class RequestConflict(CallError):
    """409: the same request_id with another body."""


class DeadlineMissed(CallError):
    """503: the work couldn't be done in time."""


class TermInvalid(CallError):
    """422: nothing can be kept until then."""


class CentralUnreachable(CallError):
    """503: what isn't held can't be asked for now."""
