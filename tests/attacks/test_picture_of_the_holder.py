"""A picture of the holder: sent several times, or turned before the camera as if it were a head.

The node has the default pack and no PAD model; the code that is shown is genuine.
"""

import time

import cv2
import msgspec
import numpy as np
import pytest

from edge.hotpath.liveness import TURNS, Action, Finding, judge_challenge
from edge.models.engine import ReferenceDraft
from edge.models.view import FrameView
from edge.protocol.feed import PutReference
from edge.protocol.records import ReferenceRecord
from kanhe.demo.people import PEOPLE, load_portrait
from tests.models.bursts import COPIES, jpeg, scaled, swaying
from tests.pipeline.desk import GATE, HOLDER, Desk

PERSON = PEOPLE[1]
DEADLINE_S = 60.0
"""Of a burst on a machine that others use as well."""


@pytest.fixture(scope="module")
def picture():
    portrait = load_portrait(PERSON)
    portrait = scaled(portrait, 420 / portrait.shape[0])
    return cv2.copyMakeBorder(portrait, 60, 60, 110, 110, cv2.BORDER_REFLECT)


@pytest.fixture
def desk(tmp_path, face_engine):
    desk = Desk(tmp_path)
    desk.face = face_engine
    desk.verifier = desk.build(desk.journal)
    draft = face_engine.make_reference_template(jpeg(load_portrait(PERSON)))
    assert isinstance(draft, ReferenceDraft)
    desk.put(PutReference(ReferenceRecord(holder_id=HOLDER, pack=face_engine.pack_id, created_s=0,
                                          template=draft.template)))
    yield desk
    desk.close()


async def shown(desk, frames, challenge=None, code=None):
    call = desk.call("face", code=code, challenge=challenge,
                     deadline_s=time.monotonic() + DEADLINE_S)
    call = msgspec.structs.replace(call, face_images=tuple(frames))
    return (await desk.verifier.verify(call)).answer


@pytest.mark.parametrize("how", COPIES)
async def test_a_picture_sent_several_times_is_an_attack(desk, picture, how):
    answer = await shown(desk, COPIES[how](picture))
    assert (answer.decision, answer.reason) == ("reject", "attack_detected")
    assert (answer.face.pad, answer.face.pad_checks) == ("failed", ("still",))


async def test_the_holder_who_holds_still_is_let_in(desk, face_engine, picture):
    (view,) = face_engine.views([jpeg(picture)], None)
    assert isinstance(view, FrameView)
    answer = await shown(desk, swaying(picture, view.points, seed=3))
    assert (answer.reason, answer.face.pad, answer.face.pad_checks) == ("ok", "passed", ("still",))


async def test_one_picture_alone_is_not_said_to_have_been_checked(desk, picture):
    answer = await shown(desk, [jpeg(picture)])
    assert (answer.reason, answer.face.pad, answer.face.pad_checks) == ("ok", "not_checked", ())
    desk.policy("face", pad="required")
    desk.clock.now += 5
    call = desk.call("face", code=desk.code(int(desk.clock.now // 5)))
    call = msgspec.structs.replace(call, face_images=(jpeg(picture),))
    answer = (await desk.verifier.verify(call)).answer
    assert answer.reason == "pack_unfit"
    assert "liveness check that isn't installed" in answer.message.en


def held(picture, yaw_deg, nearer=1.0):
    """Photograph a print that is turned about its upright axis, from 2.5 times its height."""
    height, width = picture.shape[:2]
    away, angle = 2.5 * height, np.deg2rad(yaw_deg)
    corners = np.array([[-width, -height], [width, -height], [width, height],
                        [-width, height]]) / 2.0
    depth = away - corners[:, 0] * np.sin(angle)
    turned = np.stack([corners[:, 0] * np.cos(angle), corners[:, 1]], 1)
    seen = turned * (away / depth)[:, None] * nearer
    middle = np.float32([width / 2, height / 2])
    matrix = cv2.getPerspectiveTransform(
        np.float32(corners) + middle, np.float32(seen) + middle)
    return cv2.warpPerspective(picture, matrix, (width, height), borderValue=(90, 95, 100))


@pytest.mark.parametrize("way", [-1, 1])
@pytest.mark.parametrize("action", TURNS)
async def test_a_print_that_is_turned_turns_no_head(desk, picture, action, way):
    desk.policy("face", challenge="required")
    challenge = ask_for(desk, action)
    frames = [jpeg(held(picture, way * turn)) for turn in (0, 10, 20, 30, 40, 20)]
    answer = await shown(desk, frames, challenge)
    assert answer.decision != "accept"
    assert answer.reason in ("challenge_failed", "challenge_expired", "face_multiple")


def ask_for(desk, *actions):
    """Ask until the node happens to choose these."""
    while True:
        given = desk.verifier.challenge(GATE, "face")
        if given.actions == actions:
            return given.challenge_id


async def test_a_print_comes_nearer_like_a_face_so_no_challenge_is_that_alone(
        desk, face_engine, picture):
    frames = [jpeg(held(picture, turn, near)) for turn, near in
              ((0, 0.8), (10, 0.85), (25, 0.9), (10, 1.0), (0, 1.1), (0, 1.2))]
    track = face_engine.probe(frames).track
    assert judge_challenge([Action.COME_NEARER], track) is Finding.MET
    desk.policy("face", challenge="required", challenge_actions=2)
    challenge = ask_for(desk, Action.TURN_LEFT, Action.COME_NEARER)
    assert (await shown(desk, frames, challenge)).decision != "accept"
