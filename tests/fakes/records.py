"""Journal records of answers, for tests that look at them."""

import itertools
from typing import Any

from edge.protocol.journal import Evidence, VerificationRecord

EVIDENCE = Evidence(
    mode="online", clock="trusted", keys_age_s=1, status_age_s=1, credential_age_s=1,
    policy_version=1, replay_scope="node")
_NUMBERS = itertools.count(1)


def answer(reason: str = "ok", **differently: Any) -> VerificationRecord:
    """Give the record of an answer; by default an accept of a known credential."""
    accepted = reason == "ok"
    honest: dict[str, Any] = {
        "verification_id": f"{next(_NUMBERS):032x}", "kind": "verification",
        "at_ms": 1_800_000_000_000, "gate_id": "g1", "scene": "hotel.checkin",
        "request_digest": bytes(16), "body_digest": bytes(16),
        "decision": "accept" if accepted else "reject", "reason": reason,
        "credential_id": bytes([1] * 16), "credential_type": "resident_id",
        "credential_status": "valid", "suite": 1, "step": 360_000_000, "evidence": EVIDENCE}
    return VerificationRecord(**{**honest, **differently})
