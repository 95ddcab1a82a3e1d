"""What a frame said, and which of it is the presentation.

- A text is exactly what the code holds; octets that are no text stay octets.
- When nothing reads, one closed list of causes says why, with words for an operator.
"""

from collections.abc import Iterable
from enum import StrEnum

import msgspec

from edge.hotpath.reasons import Reason
from edge.hotpath.verdict import Verdict, verdict
from edge.protocol.kh1 import PREFIX
from edge.protocol.records import Words


class Why(StrEnum):
    """Why nothing reads."""

    NO_CODE = "no_code"
    TOO_SMALL = "too_small"
    BLURRED = "blurred"
    GLARE = "glare"
    CUT_OFF = "cut_off"
    DAMAGED = "damaged"


WHY_WORDS: dict[Why, Words] = {
    Why.NO_CODE: Words(
        "画面中没有二维码，请对准镜头", "No code in view: hold it before the camera"),
    Why.TOO_SMALL: Words("二维码太小，请靠近", "The code is too small: come closer"),
    Why.BLURRED: Words("画面模糊，请拿稳手机", "The picture is blurred: hold the phone still"),
    Why.GLARE: Words("屏幕反光，请稍微倾斜手机", "Glare on the screen: tilt the phone a little"),
    Why.CUT_OFF: Words(
        "二维码不完整，请全部放入画面", "The code is cut off: bring all of it into view"),
    Why.DAMAGED: Words(
        "二维码残缺，请刷新后再出示", "The code is there but can't be read: show a fresh one"),
}


class CodeReading(msgspec.Struct, frozen=True):
    """What one frame said.

    Attributes:
        texts: Distinct texts in the order found, exactly as read.
        binaries: Contents that are no text.
        why: A `Why` when nothing read, else empty.
        rung: The step of the ladder that read it, else empty.
    """

    texts: tuple[str, ...] = ()
    binaries: tuple[bytes, ...] = ()
    why: str = ""
    rung: str = ""

    @property
    def found(self) -> bool:
        """Whether any code read."""
        return bool(self.texts or self.binaries)


def has_presentation(texts: Iterable[str]) -> bool:
    """Tell whether one of the texts begins like a KH1 code."""
    return any(text.startswith(PREFIX) for text in texts)


def pick_presentation(reading: CodeReading) -> str | Verdict:
    """Choose the one text to judge.

    Returns:
        The only KH1 text; or the only text of any kind, which will be judged malformed; else
        `codes_multiple` or `code_unreadable`.
    """
    ours = [text for text in reading.texts if text.startswith(PREFIX)]
    if len(ours) == 1:
        return ours[0]
    if len(ours) + len(reading.texts) + len(reading.binaries) == 0:
        return verdict(Reason.CODE_UNREADABLE)
    if not ours and len(reading.texts) + len(reading.binaries) == 1:
        return reading.texts[0] if reading.texts else ""
    return verdict(Reason.CODES_MULTIPLE)
