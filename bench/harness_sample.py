"""One verification's record and answer, of the size that a code-only scene has."""

from edge.hotpath.reasons import Reason
from edge.hotpath.words import message_for
from edge.pipeline.answer import Answer, CredentialShown
from edge.protocol.journal import Evidence, Receipt, VerificationRecord

_EVIDENCE = Evidence(
    mode="online", clock="trusted", keys_age_s=3, status_age_s=3, credential_age_s=812,
    policy_version=12, replay_scope="node")


def record(number: int) -> VerificationRecord:
    """Give the journal's record of an accepted code."""
    return VerificationRecord(
        verification_id=f"{number:032x}", kind="verification", at_ms=1_820_900_002_000 + number,
        gate_id="gate-07", scene="office.gatehouse", request_digest=number.to_bytes(16, "big"),
        body_digest=bytes(16), decision="accept", reason="ok",
        credential_id=number.to_bytes(16, "big"), credential_type="resident_id",
        credential_status="valid", suite=1, step=364_180_000, evidence=_EVIDENCE,
        disclosed=("name", "id_number"))


def answer(number: int) -> Answer:
    """Give the answer of an accepted code."""
    return Answer(
        verification_id=f"{number:032x}", decision="accept", reason="ok",
        message=message_for(Reason.OK, ""), next=None,
        credential=CredentialShown("resident_id", "valid", "2031-05-01"),
        disclosed={"name": "马*", "id_number": "330***********1234"}, face=None,
        evidence=_EVIDENCE, receipt=Receipt("bench", number, f"{number:064x}"))
