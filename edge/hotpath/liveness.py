"""Active liveness: did the person do what the node asked, by the poses of a burst.

- Values in, finding out; poses come from landmarks (edge.models.pose), the identity of the
  face throughout the burst is held there, too.
- Left and right are the person's own, in pictures that aren't mirrored. A front camera
  that mirrors its frames must turn them back, or mark them by EXIF orientation.
- Everything is judged against the burst's own first frame, so what a face looks like by
  itself (a long nose, a low brow) cancels out.
- Every challenge holds at least one turn: turning a flat picture moves no nose between its
  eyes, whereas a picture can well be brought nearer or tilted back.
- Not here: choosing, keeping and spending challenges (edge.pipeline.challenges).
"""

import itertools
from collections.abc import Callable, Sequence
from enum import StrEnum

import msgspec

from edge.protocol.records import Words

FRAMES_MIN = 4
"""A burst in which fewer frames show the face says nothing about a movement."""
FACING_DEG_MAX = 12.0
"""How far the head may be turned in the first frame."""
TURN_DEG_MIN = 20.0
"""A turn: four times the noise of the estimate, and more than most tilted pictures feign."""
LOOK_UP_DEG_MIN = 12.0
NEARER_RATIO_MIN = 1.25
"""How much the eyes' distance must grow: from 50 cm to 40 cm."""
STEP_DEG_MAX = 35.0
"""A head doesn't turn further from one frame to the next; two pictures in turn do."""
ACTIONS_MAX = 2


class Action(StrEnum):
    """What a person may be asked to do."""

    TURN_LEFT = "turn_left"
    TURN_RIGHT = "turn_right"
    LOOK_UP = "look_up"
    COME_NEARER = "come_nearer"


ACTION_WORDS: dict[Action, Words] = {
    Action.TURN_LEFT: Words("请慢慢向您的左侧转头", "Please turn your head slowly to your left"),
    Action.TURN_RIGHT: Words("请慢慢向您的右侧转头", "Please turn your head slowly to your right"),
    Action.LOOK_UP: Words("请慢慢抬头", "Please look up slowly"),
    Action.COME_NEARER: Words("请慢慢靠近镜头", "Please come slowly nearer to the camera"),
}
TURNS = (Action.TURN_LEFT, Action.TURN_RIGHT)


class Pose(msgspec.Struct, frozen=True):
    """How a head is held in one frame.

    Attributes:
        yaw_deg: Turned to the person's own left (positive) or right, by the nose.
        turn_deg: As much of the yaw as all signs agree on; what a challenge counts.
        pitch_deg: Looking up (positive) or down, against an average face.
        roll_deg: Leaning; positive is clockwise in the picture.
        nearness: Distance of the eyes as a share of the picture's longer side, the turn
            taken out.
    """

    yaw_deg: float
    turn_deg: float
    pitch_deg: float
    roll_deg: float
    nearness: float


class Finding(StrEnum):
    """What a burst says about a challenge."""

    MET = "met"
    FAILED = "failed"
    TOO_FEW = "challenge_frames"
    AWAY = "challenge_facing"
    JUMPED = "challenge_jumped"


RETRIED = frozenset({Finding.TOO_FEW, Finding.AWAY, Finding.JUMPED})
"""Findings about the burst, not the person: a fresh challenge is given."""


def judge_challenge(actions: Sequence[Action], track: Sequence[Pose]) -> Finding:
    """Judge whether the actions were done, in their order.

    Args:
        actions: As the node asked, at least one.
        track: Poses in the order of the frames, of one person throughout.
    """
    if len(track) < FRAMES_MIN:
        return Finding.TOO_FEW
    start = track[0]
    if abs(start.turn_deg) > FACING_DEG_MAX:
        return Finding.AWAY
    if any(abs(b.turn_deg - a.turn_deg) > STEP_DEG_MAX
           for a, b in itertools.pairwise(track)):
        return Finding.JUMPED
    # A turn that wasn't asked for means that the person follows something else.
    unasked = [action for action in TURNS if action not in actions]
    if any(_DONE[action](start, pose) for action in unasked for pose in track):
        return Finding.FAILED
    at = 1
    for action in actions:
        done = (index for index in range(at, len(track)) if _DONE[action](start, track[index]))
        found = next(done, None)
        if found is None:
            return Finding.FAILED
        at = found + 1
    return Finding.MET


_DONE: dict[Action, Callable[[Pose, Pose], bool]] = {
    Action.TURN_LEFT: lambda start, pose: pose.turn_deg - start.turn_deg >= TURN_DEG_MIN,
    Action.TURN_RIGHT: lambda start, pose: start.turn_deg - pose.turn_deg >= TURN_DEG_MIN,
    Action.LOOK_UP: lambda start, pose: pose.pitch_deg - start.pitch_deg >= LOOK_UP_DEG_MIN,
    Action.COME_NEARER: lambda start, pose: (
        pose.nearness >= start.nearness * NEARER_RATIO_MIN > 0.0
    ),
}
"""Whether a pose shows an action, against the first frame's. NaN shows nothing."""
