"""A past answer beside another policy: what its record tells, and words for what it doesn't.

- A record holds what was found, never a picture, a template or a code: what wasn't looked at then
  can't be known now.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum

import msgspec

from edge.hotpath.rates import Point
from edge.hotpath.reasons import REASONS, Decision, Reason
from edge.hotpath.verdict import Verdict, verdict
from edge.protocol.journal import VerificationRecord
from edge.protocol.records import ScenePolicy, Words

Points = Mapping[str, Sequence[Point]]
"""The makers' operating points, by pack."""


class Missing(StrEnum):
    """What a record doesn't tell, because nobody looked at it then."""

    CODE = "code"
    SUITE = "suite"
    STEP = "step"
    CREDENTIAL = "credential"
    STATUS = "status"
    CARD = "card"
    FACE = "face"
    THRESHOLD = "threshold"
    LIVENESS = "liveness"
    CHALLENGE = "challenge"
    REFERENCE = "reference"
    REPLAY = "replay"
    EARLIER = "earlier"
    SHOWN = "shown"


MISSING_WORDS: dict[Missing, Words] = {
    Missing.CODE: Words("当时未判断码", "the code wasn't judged then"),
    Missing.SUITE: Words("未记录码的类型", "the code's suite isn't recorded"),
    Missing.STEP: Words("未记录码的时间", "the code's time isn't recorded"),
    Missing.CREDENTIAL: Words("当时未查证照", "the credential wasn't looked up then"),
    Missing.STATUS: Words("未记录状态列表", "what a status list said isn't recorded"),
    Missing.CARD: Words("当时未读随码证照", "a card in the code wasn't read then"),
    Missing.FACE: Words("当时未比对人脸", "no face was compared then"),
    Missing.THRESHOLD: Words(
        "不知该误识率的阈值", "the threshold for that error rate isn't at hand"),
    Missing.LIVENESS: Words("当时未做活体检测", "liveness wasn't checked then"),
    Missing.CHALLENGE: Words("当时未要求该动作", "that challenge wasn't asked for then"),
    Missing.REFERENCE: Words(
        "未记录底照的年龄与用途", "the reference's age and purpose aren't recorded"),
    Missing.REPLAY: Words("先前的出示会不同", "an earlier showing would have gone otherwise"),
    Missing.EARLIER: Words("先前的答复会不同", "the answer before it would have been another"),
    Missing.SHOWN: Words("会改为出示码", "a code would have been asked for"),
}
"""For people who read a dry run."""


class Past(msgspec.Struct, frozen=True):
    """One record beside a policy.

    Attributes:
        record: As journalled.
        policy: Under which it is judged.
        before: The policy that it was judged by, None if that isn't at hand.
        points: Thresholds of packs.
    """

    record: VerificationRecord
    policy: ScenePolicy
    before: ScenePolicy | None
    points: Points

    @property
    def reason(self) -> Reason:
        """Why it ended as it did."""
        return Reason(self.record.reason)

    @property
    def now(self) -> float:
        """Unix seconds of the judgement."""
        return self.record.at_ms / 1000

    def unchanged(self, *fields: str) -> bool:
        """Tell whether the policy of that time is known, and the same in these fields."""
        before = self.before
        return before is not None and all(
            getattr(before, name) == getattr(self.policy, name) for name in fields)


def recorded(past: Past) -> Verdict:
    """Give the reason as it was, with the decision that the policy chooses for it."""
    policy = past.policy
    chosen = {
        Reason.TRUST_STALE: policy.trust_stale, Reason.NO_MATCH: policy.no_match,
        Reason.ATTACK_DETECTED: policy.attack, Reason.CHALLENGE_FAILED: policy.attack,
    }.get(past.reason)
    return verdict(
        past.reason, REASONS[past.reason].decision if chosen is None else Decision(chosen))
