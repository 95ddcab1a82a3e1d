"""Reasons a verification can end with: one closed table.

- A reason is an expected answer, never an exception.
- The table gives each reason its stage, default decision, the next step for
  the gate, and the words an operator reads. What isn't in the table isn't legal.
- What it doesn't do: decide. Policies may override a decision only within the
  alternatives that the row lists.
"""

from enum import StrEnum
from typing import NamedTuple


class Decision(StrEnum):
    """The four answers a verification can have."""

    ACCEPT = "accept"
    REJECT = "reject"
    RETRY = "retry"
    REFER = "refer"


class Stage(StrEnum):
    """Where in the order of a verification a reason arises."""

    DONE = "done"
    CAPTURE = "capture"
    FORM = "form"
    AUTHENTICITY = "authenticity"
    TIME = "time"
    CREDENTIAL = "credential"
    REPLAY = "replay"
    BIOMETRIC = "biometric"
    OPERATOR = "operator"


class NextStep(StrEnum):
    """What the gate should do next."""

    SHOW_CODE = "show_code"
    CAPTURE_FACE = "capture_face"
    CHALLENGE = "challenge"
    CALL_OPERATOR = "call_operator"


class Reason(StrEnum):
    """Why a verification ended as it did (closed enum)."""

    OK = "ok"
    CODE_UNREADABLE = "code_unreadable"
    CODES_MULTIPLE = "codes_multiple"
    FACE_ABSENT = "face_absent"
    FACE_MULTIPLE = "face_multiple"
    FACE_QUALITY_LOW = "face_quality_low"
    MALFORMED = "malformed"
    KEY_EPOCH_UNKNOWN = "key_epoch_unknown"
    MAC_MISMATCH = "mac_mismatch"
    STEP_EXPIRED = "step_expired"
    STEP_FUTURE = "step_future"
    CLOCK_UNTRUSTED = "clock_untrusted"
    CREDENTIAL_UNKNOWN = "credential_unknown"
    CREDENTIAL_EXPIRED = "credential_expired"
    CREDENTIAL_SUSPENDED = "credential_suspended"
    CREDENTIAL_REVOKED = "credential_revoked"
    CREDENTIAL_NOT_ACCEPTED_HERE = "credential_not_accepted_here"
    CARD_MISMATCH = "card_mismatch"
    TRUST_STALE = "trust_stale"
    PRESENTATION_REPLAYED = "presentation_replayed"
    REFERENCE_MISSING = "reference_missing"
    PACK_UNFIT = "pack_unfit"
    ATTACK_DETECTED = "attack_detected"
    CHALLENGE_FAILED = "challenge_failed"
    CHALLENGE_EXPIRED = "challenge_expired"
    NO_MATCH = "no_match"
    NOBODY = "nobody"
    OPERATOR_ACCEPTED = "operator_accepted"
    OPERATOR_REJECTED = "operator_rejected"


class ReasonRow(NamedTuple):
    """One row of the table."""

    stage: Stage
    decision: Decision
    next: NextStep | None
    zh: str
    en: str
    also: tuple[Decision, ...] = ()
    """Other decisions that a scene's policy may choose instead of the default."""


_A, _R, _T, _F = Decision.ACCEPT, Decision.REJECT, Decision.RETRY, Decision.REFER
_CODE, _FACE = NextStep.SHOW_CODE, NextStep.CAPTURE_FACE
_CHALLENGE, _CALL = NextStep.CHALLENGE, NextStep.CALL_OPERATOR
_S = Stage

REASONS: dict[Reason, ReasonRow] = {
    Reason.OK: ReasonRow(_S.DONE, _A, None, "核验通过", "Verified"),
    Reason.CODE_UNREADABLE: ReasonRow(
        _S.CAPTURE, _T, _CODE, "未能读出二维码，请靠近并调亮屏幕",
        "No code could be read: hold the phone closer and turn up its brightness",
    ),
    Reason.CODES_MULTIPLE: ReasonRow(
        _S.CAPTURE, _T, _CODE, "画面中有多个二维码，请只出示一个",
        "Several codes are in view: show only one",
    ),
    Reason.FACE_ABSENT: ReasonRow(
        _S.CAPTURE, _T, _FACE, "未见人脸，请看镜头",
        "No face in view: please look at the camera",
    ),
    Reason.FACE_MULTIPLE: ReasonRow(
        _S.CAPTURE, _T, _FACE, "画面中有多张人脸，请单独面对镜头",
        "Several faces in view: one person at a time, please",
    ),
    Reason.FACE_QUALITY_LOW: ReasonRow(
        _S.CAPTURE, _T, _FACE, "人脸不够清晰，请靠近并正对光线",
        "The face isn't clear enough: come closer and turn to the light",
    ),
    Reason.MALFORMED: ReasonRow(
        _S.FORM, _R, None, "不是有效的勘合码", "This isn't a valid Kanhe code"),
    Reason.KEY_EPOCH_UNKNOWN: ReasonRow(
        _S.AUTHENTICITY, _F, _CALL, "本机没有该日的密钥，无法判断",
        "This node doesn't hold that day's keys and can't tell",
    ),
    Reason.MAC_MISMATCH: ReasonRow(
        _S.AUTHENTICITY, _R, None, "二维码不是真的", "The code isn't genuine"),
    Reason.STEP_EXPIRED: ReasonRow(
        _S.TIME, _T, _CODE, "二维码已过时，请出示当前的码",
        "The code is out of date: show the live one",
    ),
    Reason.STEP_FUTURE: ReasonRow(
        _S.TIME, _T, _CODE, "手机时间偏快，请校准后再出示",
        "The phone's clock is ahead: set it and show the code again",
    ),
    Reason.CLOCK_UNTRUSTED: ReasonRow(
        _S.TIME, _F, _CALL, "本机时间不可信，无法判断",
        "This node's clock can't be trusted, so it can't tell",
    ),
    Reason.CREDENTIAL_UNKNOWN: ReasonRow(
        _S.CREDENTIAL, _F, _CALL, "本机没有该证照的记录，无法判断",
        "This node has no record of the credential and can't tell",
    ),
    Reason.CREDENTIAL_EXPIRED: ReasonRow(
        _S.CREDENTIAL, _R, None, "证照不在有效期内", "The credential isn't within its validity"),
    Reason.CREDENTIAL_SUSPENDED: ReasonRow(
        _S.CREDENTIAL, _R, None, "证照已暂停使用", "The credential is suspended"),
    Reason.CREDENTIAL_REVOKED: ReasonRow(
        _S.CREDENTIAL, _R, None, "证照已被撤销", "The credential is revoked"),
    Reason.CREDENTIAL_NOT_ACCEPTED_HERE: ReasonRow(
        _S.CREDENTIAL, _R, None, "此处不受理该类证照",
        "This kind of credential isn't accepted here",
    ),
    Reason.CARD_MISMATCH: ReasonRow(
        _S.CREDENTIAL, _R, None, "随码证照与持有人不符",
        "The card in the code doesn't belong to it",
    ),
    Reason.TRUST_STALE: ReasonRow(
        _S.CREDENTIAL, _F, _CALL, "本机数据过旧，无法判断",
        "This node's data is too old to tell", (Decision.REJECT,),
    ),
    Reason.PRESENTATION_REPLAYED: ReasonRow(
        _S.REPLAY, _R, None, "该码已经使用过", "This code has been used already"),
    Reason.REFERENCE_MISSING: ReasonRow(
        _S.BIOMETRIC, _F, _CALL, "没有可比对的人脸底照",
        "There is no reference to compare the face with",
    ),
    Reason.PACK_UNFIT: ReasonRow(
        _S.BIOMETRIC, _F, _CALL, "当前人脸模型达不到本场景的要求",
        "The installed face pack can't meet this scene's error rate",
    ),
    Reason.ATTACK_DETECTED: ReasonRow(
        _S.BIOMETRIC, _R, None, "疑似人脸攻击", "The capture looks like an attack",
        (Decision.REFER,),
    ),
    Reason.CHALLENGE_FAILED: ReasonRow(
        _S.BIOMETRIC, _R, _CHALLENGE, "活体动作未通过",
        "The liveness challenge wasn't met", (Decision.REFER,),
    ),
    Reason.CHALLENGE_EXPIRED: ReasonRow(
        _S.BIOMETRIC, _T, _CHALLENGE, "活体动作超时，请重试",
        "The liveness challenge ran out: try again",
    ),
    Reason.NO_MATCH: ReasonRow(
        _S.BIOMETRIC, _R, None, "人脸与证照不符", "The face doesn't match the credential",
        (Decision.REFER,),
    ),
    Reason.NOBODY: ReasonRow(
        _S.BIOMETRIC, _F, _CALL, "未找到匹配的人员", "Nobody known was found"),
    Reason.OPERATOR_ACCEPTED: ReasonRow(
        _S.OPERATOR, _A, None, "人工核验通过", "Accepted by the operator"),
    Reason.OPERATOR_REJECTED: ReasonRow(
        _S.OPERATOR, _R, None, "人工核验不通过", "Refused by the operator"),
}
