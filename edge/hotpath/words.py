"""What an operator reads: the reason's words, or better ones where the detail is known."""

from edge.hotpath.qr.reading import WHY_WORDS, Why
from edge.hotpath.reasons import REASONS, Reason
from edge.protocol.records import Words

FACE_WORDS: dict[str, Words] = {
    "unseen": Words(
        "未见人脸，请靠近并正对镜头", "No face is seen: come closer and face the camera"),
    "eye_distance": Words("人脸太小，请靠近", "The face is too small: come closer"),
    "margin": Words(
        "人脸不完整，请退回画面中央", "The face is cut off: step back into the frame"),
    "under_exposure": Words("光线太暗，请正对光线", "It is too dark: turn to the light"),
    "over_exposure": Words(
        "光线太强，请避开强光", "It is too bright: turn away from the strong light"),
    "contrast": Words(
        "画面发灰，请擦拭镜头或避开逆光",
        "The picture is washed out: wipe the lens or turn away from the light behind"),
    "sharpness": Words("人脸模糊，请站稳", "The face is blurred: hold still"),
    "yaw": Words("请正对镜头，不要侧脸", "Please face the camera: don't turn the head"),
    "pitch": Words("请平视镜头", "Please look straight at the camera"),
    "on_its_side": Words(
        "画面是横的，请把镜头转正", "The picture lies on its side: turn the camera upright"),
    "roll": Words("请不要歪头", "Please hold your head upright"),
    "mirror": Words("人脸不够清晰，请摘下口罩或帽子", "The face isn't clear: take off mask or cap"),
    "damaged": Words("照片损坏，请重拍", "The picture is damaged: take another"),
    "pad_missing": Words(
        "此场景要求活体检测，但本机未安装，请人工核验",
        "This scene asks for a liveness check that isn't installed: ask an operator"),
    "burst": Words("连拍中不是同一个人", "The frames aren't of one person"),
    "challenge_missing": Words(
        "请按提示完成活体动作", "Please do what the screen asks you to do"),
    "challenge_frames": Words(
        "动作过程中未能看清人脸，请重试", "The face wasn't seen throughout: please try again"),
    "challenge_facing": Words(
        "请先正对镜头，再按提示动作", "Please face the camera first, then do what is asked"),
    "challenge_jumped": Words("请慢一些，再试一次", "Please move more slowly and try again"),
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
