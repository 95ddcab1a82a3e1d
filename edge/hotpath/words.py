"""What an operator reads: the reason's words, or better ones where the detail is known."""

from edge.hotpath.qr.reading import WHY_WORDS, Why
from edge.hotpath.reasons import REASONS, Reason
from edge.protocol.records import Words

FACE_WORDS: dict[str, Words] = {
    "eye_distance": Words("人脸太小，请靠近", "The face is too small: come closer"),
    "sharpness": Words("人脸模糊，请站稳", "The face is blurred: hold still"),
    "exposure": Words("光线不合适，请正对光线", "The light isn't right: turn to the light"),
    "pose": Words("请正对镜头", "Please face the camera"),
    "mirror": Words("人脸不够清晰，请摘下口罩或帽子", "The face isn't clear: take off mask or cap"),
    "damaged": Words("照片损坏，请重拍", "The picture is damaged: take another"),
    "burst": Words("连拍中不是同一个人", "The frames aren't of one person"),
}
"""By the quality component or fault that a probe names."""

REFERENCE_WORDS: dict[str, Words] = {
    "expired": Words(
        "人脸底照已过期，需重新登记", "The reference is too old: it must be enrolled anew"),
    "purpose": Words("持有人未同意此用途", "The holder hasn't agreed to this use of the face"),
}
"""By why a reference that is held may not be used."""


def message_for(reason: Reason, why: str) -> Words:
    """Give the words for a reason and its detail."""
    if reason is Reason.CODE_UNREADABLE and why in Why._value2member_map_:
        return WHY_WORDS[Why(why)]
    if reason is Reason.REFERENCE_MISSING and why in REFERENCE_WORDS:
        return REFERENCE_WORDS[why]
    if why in FACE_WORDS:
        return FACE_WORDS[why]
    row = REASONS[reason]
    return Words(row.zh, row.en)
