"""Signals of misuse, seen in the answers of one node.

- A signal is raised when so many answers with one reason fall on one credential or one gate
  within a time; then it is quiet about that one for as long.
- What is remembered is bounded: the longest untouched is forgotten first.
- Not here: what becomes of a signal (edge.watching), and journeys between sites, which only the
  central platform can see.
"""

from collections import OrderedDict, deque
from typing import Literal, NamedTuple

import msgspec

from edge.hotpath.reasons import Reason
from edge.protocol import signals as names
from edge.protocol.journal import VerificationRecord
from edge.tally import late_s

WATCHED_MAX = 10_000
LATE_S_MIN = 30.0
"""A code this late wasn't held up by a slow person; it was kept, as on a screenshot."""


class Rule(NamedTuple):
    """So many answers that fall on one of `by` within `window_s` are a signal."""

    signal: str
    by: Literal["credential", "gate"]
    answers: int
    window_s: float


RULES = {
    Reason.PRESENTATION_REPLAYED: Rule(names.REPLAY, "credential", 3, 600.0),
    Reason.STEP_EXPIRED: Rule(names.LATE_CODE, "credential", 2, 600.0),
    Reason.MAC_MISMATCH: Rule(names.FORGED_CODES, "gate", 5, 60.0),
    Reason.NO_MATCH: Rule(names.WRONG_FACE, "credential", 3, 3_600.0),
    Reason.ATTACK_DETECTED: Rule(names.FACE_ATTACK, "gate", 1, 600.0),
}


class Signal(msgspec.Struct, frozen=True, kw_only=True):
    """Something to look at. No holder data: ids only.

    Attributes:
        name: One of `edge.protocol.signals`.
        gate_id, scene, verification_id: Of the answer that raised it.
        credential_id: Hex, empty if it isn't about one.
        count: Answers that it rests on.
        window_s: Seconds in which they fell, at most.
    """

    name: str
    gate_id: str
    scene: str
    verification_id: str
    credential_id: str
    count: int
    window_s: float

    def detail(self) -> dict[str, str | int | float]:
        """Give what an event of the journal says of it."""
        return {key: value for key, value in msgspec.structs.asdict(self).items()
                if key != "name" and value != ""}


class _Watched:
    __slots__ = ("at_ms", "quiet_until_ms")

    def __init__(self) -> None:
        self.at_ms: deque[int] = deque()
        self.quiet_until_ms = 0


class Watch:
    """Sees every answer and raises signals."""

    def __init__(self, watched_max: int = WATCHED_MAX) -> None:
        """Begin with nothing seen."""
        self._watched_max = watched_max
        self._watched: OrderedDict[tuple[str, str | bytes], _Watched] = OrderedDict()

    def __len__(self) -> int:
        """Count what is remembered."""
        return len(self._watched)

    def saw(self, record: VerificationRecord) -> Signal | None:
        """Take note of an answer; give the signal that it raises, if it does."""
        # A reason of the journal is a value of the enum, and hashes as one.
        rule = RULES.get(record.reason)  # type: ignore[call-overload]
        if rule is None or not _counts(record):
            return None
        key = record.gate_id if rule.by == "gate" else record.credential_id
        if key is None:
            return None
        watched = self._touch((rule.signal, key))
        if record.at_ms < watched.quiet_until_ms:
            return None
        watched.at_ms.append(record.at_ms)
        while record.at_ms - watched.at_ms[0] > rule.window_s * 1e3:
            watched.at_ms.popleft()
        if len(watched.at_ms) < rule.answers:
            return None
        watched.at_ms.clear()
        watched.quiet_until_ms = record.at_ms + int(rule.window_s * 1e3)
        credential = record.credential_id.hex() if record.credential_id else ""
        return Signal(
            name=rule.signal, gate_id=record.gate_id, scene=record.scene, count=rule.answers,
            verification_id=record.verification_id, credential_id=credential,
            window_s=rule.window_s)

    def _touch(self, key: tuple[str, str | bytes]) -> _Watched:
        watched = self._watched.get(key)
        if watched is None:
            watched = self._watched[key] = _Watched()
            if len(self._watched) > self._watched_max:
                self._watched.popitem(last=False)
        else:
            self._watched.move_to_end(key)
        return watched


def _counts(record: VerificationRecord) -> bool:
    if record.reason != Reason.STEP_EXPIRED:
        return True
    return record.step is not None and late_s(record) >= LATE_S_MIN
