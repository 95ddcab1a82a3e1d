"""An answer made from a record: the first time and every time after.

- One function for both, so that an answer given again after a restart is the same.
- Disclosed values come from the credential, never from the record.
"""

from datetime import UTC, datetime, timedelta, timezone

import msgspec

from edge.hotpath.disclosure import disclose
from edge.hotpath.reasons import REASONS, NextStep, Reason
from edge.hotpath.words import message_for
from edge.pipeline.answer import Answer, CredentialShown
from edge.protocol.journal import Receipt, VerificationRecord
from edge.protocol.records import CredentialRecord, ScenePolicy, Words

_CHINA = timezone(timedelta(hours=8))
_ROWS = {
    reason.value: (Words(row.zh, row.en), row.next.value if row.next else None)
    for reason, row in REASONS.items()
}


def render(
    record: VerificationRecord,
    receipt: Receipt,
    credential: CredentialRecord | None,
    policy: ScenePolicy | None,
) -> Answer:
    """Make the answer of a record.

    Args:
        record: As journalled.
        receipt: Its place in the journal.
        credential: The credential it names, if it is known.
        policy: Of its scene; without it nothing is disclosed.
    """
    words, following = _ROWS[record.reason]
    if record.why:
        words = message_for(Reason(record.reason), record.why)
    shown = None
    if record.credential_type:
        until = _last_day(credential.valid_until_s) if credential else None
        shown = CredentialShown(record.credential_type, record.credential_status, until)
    disclosed = None
    if record.decision == "accept" and credential is not None and policy is not None:
        disclosed = disclose(credential, policy)
    # A decision that a policy chose instead of the default has its own next step.
    if record.decision == "refer":
        following = "call_operator"
    elif following == "capture_face" and policy is not None and policy.challenge == "required":
        # A face without a challenge would only be asked for one.
        following = "challenge"
    # Whoever wasn't recognised, or doesn't want to be, shows a code.
    otherwise: str | msgspec.UnsetType = msgspec.UNSET
    if record.kind == "identification" and record.decision != "accept":
        otherwise = NextStep.SHOW_CODE.value
        following = following if record.decision == "retry" else otherwise
    return Answer(
        verification_id=record.verification_id, decision=record.decision, reason=record.reason,
        message=words, next=following, credential=shown,
        disclosed=disclosed, face=record.face, evidence=record.evidence, receipt=receipt,
        otherwise=otherwise,
    )


def _last_day(valid_until_s: int | None) -> str | None:
    """Give the last valid day in China's time, ISO 8601; the end itself is exclusive."""
    if valid_until_s is None:
        return None
    return datetime.fromtimestamp(valid_until_s - 1, UTC).astimezone(_CHINA).date().isoformat()
