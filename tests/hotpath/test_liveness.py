"""A challenge is met by the movement it asks for, in its order, and by nothing else."""

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.hotpath.holder import Comparison, Probe, check_holder
from edge.hotpath.liveness import (
    ACTION_WORDS,
    FACING_DEG_MAX,
    FRAMES_MIN,
    LOOK_UP_DEG_MIN,
    NEARER_RATIO_MIN,
    RETRIED,
    STEP_DEG_MAX,
    TURN_DEG_MIN,
    Action,
    Finding,
    Pose,
    judge_challenge,
)
from edge.protocol.records import ReferenceRecord
from tests.fakes.ports import PACK, template_of
from tests.pipeline.desk import FACE, HOLDER

LEFT, RIGHT, UP, NEARER = Action


def pose(turn=0.0, pitch=0.0, near=0.1) -> Pose:
    return Pose(turn, turn, pitch, 0.0, near)


def turning(*degrees) -> list[Pose]:
    return [pose(turn) for turn in degrees]


@pytest.mark.parametrize("action,sign", [(LEFT, 1), (RIGHT, -1)])
@pytest.mark.parametrize("degrees,finding", [
    (TURN_DEG_MIN - 0.1, Finding.FAILED), (TURN_DEG_MIN, Finding.MET),
])
def test_a_turn_is_met_from_its_threshold_on(action, sign, degrees, finding):
    track = turning(*(sign * degrees * share for share in (0, 0.3, 0.6, 1)))
    assert judge_challenge([action], track) is finding


@pytest.mark.parametrize("action,other", [(LEFT, -1), (RIGHT, 1)])
def test_turning_the_other_way_fails_even_if_the_asked_turn_follows(action, other):
    there = [other * TURN_DEG_MIN * share for share in (0, 0.5, 1, 0.5, 0)]
    back = [-other * TURN_DEG_MIN * share for share in (0.5, 1)]
    assert judge_challenge([action], turning(*there, *back)) is Finding.FAILED


def test_looking_up_and_coming_nearer_have_their_thresholds():
    for pitch, finding in ((LOOK_UP_DEG_MIN - 0.1, Finding.FAILED),
                           (LOOK_UP_DEG_MIN, Finding.MET)):
        assert judge_challenge([UP], [pose(), pose(), pose(), pose(pitch=pitch)]) is finding
    for ratio, finding in ((NEARER_RATIO_MIN - 0.01, Finding.FAILED),
                           (NEARER_RATIO_MIN + 1e-9, Finding.MET)):
        track = [pose(), pose(), pose(), pose(near=0.1 * ratio)]
        assert judge_challenge([NEARER], track) is finding


def test_two_actions_are_met_in_their_order_only():
    track = [pose(), pose(12), pose(24), pose(10), pose(), pose(near=0.14)]
    assert judge_challenge([LEFT, NEARER], track) is Finding.MET
    assert judge_challenge([NEARER, LEFT], track) is Finding.FAILED
    assert judge_challenge([LEFT, UP], track) is Finding.FAILED


def test_one_frame_cant_show_two_actions():
    track = [pose(), pose(10), pose(15), pose(24, pitch=20)]
    assert judge_challenge([LEFT, UP], track) is Finding.FAILED


@pytest.mark.parametrize("track,finding", [
    ([], Finding.TOO_FEW), (turning(*[0, 10, 25][:FRAMES_MIN - 1]), Finding.TOO_FEW),
    (turning(FACING_DEG_MAX + 1, 20, 30, 40), Finding.AWAY),
    (turning(0, 1, 2, STEP_DEG_MAX + 3), Finding.JUMPED),
])
def test_a_burst_that_shows_no_movement_from_the_front_is_asked_for_again(track, finding):
    assert judge_challenge([LEFT], track) is finding
    assert finding in RETRIED


@given(
    actions=st.lists(st.sampled_from(Action), min_size=1, max_size=2, unique=True),
    track=st.lists(st.builds(Pose, *[st.floats(allow_nan=True, allow_infinity=True)] * 5)),
)
def test_any_poses_give_a_finding(actions, track):
    assert judge_challenge(actions, track) in Finding


@given(
    st.sampled_from([LEFT, RIGHT]),
    st.lists(st.floats(-FACING_DEG_MAX / 2, FACING_DEG_MAX / 2), min_size=FRAMES_MIN, max_size=16),
    st.lists(st.floats(0.09, 0.2), min_size=16, max_size=16),
)
def test_what_never_turns_never_meets_a_turn(action, turns, sizes):
    track = [pose(turn, pitch=turn * 3, near=near)
             for turn, near in zip(turns, sizes, strict=False)]
    assert judge_challenge([action], track) is not Finding.MET


@given(st.lists(st.floats(-30, 30), min_size=FRAMES_MIN, max_size=16))
def test_left_and_right_are_each_others_mirror(turns):
    mirrored = [-turn for turn in turns]
    assert judge_challenge([LEFT], turning(*turns)) is judge_challenge([RIGHT], turning(*mirrored))


def test_poses_that_are_no_numbers_meet_nothing():
    track = [Pose(*[math.nan] * 5)] * 6
    assert all(judge_challenge([action], track) is not Finding.MET for action in Action)


def test_every_action_has_words():
    assert set(ACTION_WORDS) == set(Action)
    assert all(words.zh and words.en for words in ACTION_WORDS.values())


REFERENCE = ReferenceRecord(holder_id=HOLDER, pack=PACK, template=template_of(5).tobytes(),
                            created_s=0)


def judged(checks, face=5, **policy):
    probe = Probe(pack=PACK, template=template_of(face), quality=1.0, components={}, checks=checks)
    found, evidence = check_holder(REFERENCE, probe, Comparison(threshold=0.9, fmr=1e-3),
                                   msgspec.structs.replace(FACE, **policy), now=1.0)
    word = evidence and (evidence.pad, evidence.pad_checks)
    return found.reason.value, found.decision.value, word


@pytest.mark.parametrize("checks,policy,expected", [
    ({}, {}, ("ok", "accept", ("not_checked", ()))),
    ({"still": True}, {}, ("ok", "accept", ("passed", ("still",)))),
    ({"still": False}, {}, ("attack_detected", "reject", ("failed", ("still",)))),
    ({"still": False}, {"attack": "refer"}, ("attack_detected", "refer", ("failed", ("still",)))),
    ({"still": False}, {"pad": "off"}, ("ok", "accept", ("not_checked", ()))),
    ({"passive": False, "still": True}, {},
     ("attack_detected", "reject", ("failed", ("passive", "still")))),
    ({"passive": True}, {"pad": "required"}, ("ok", "accept", ("passed", ("passive",)))),
    ({"challenge": True}, {"pad": "required"}, ("ok", "accept", ("passed", ("challenge",)))),
    ({}, {"pad": "required"}, ("pack_unfit", "refer", ("not_checked", ()))),
    ({"still": True}, {"pad": "required"}, ("pack_unfit", "refer", ("passed", ("still",)))),
    ({"still": True}, {"pad": "required", "challenge": "if_available"},
     ("challenge_expired", "retry", ("passed", ("still",)))),
    ({"challenge": False}, {}, ("challenge_failed", "reject", ("failed", ("challenge",)))),
    ({"challenge": False}, {"pad": "off", "attack": "refer"},
     ("challenge_failed", "refer", ("failed", ("challenge",)))),
    ({"still": False, "challenge": False}, {},
     ("attack_detected", "reject", ("failed", ("still", "challenge")))),
])
def test_a_verdict_says_what_was_checked_and_follows_the_policy(checks, policy, expected):
    assert judged(checks, **policy) == expected


@given(st.dictionaries(st.sampled_from(["passive", "still", "challenge"]), st.booleans()),
       st.sampled_from(["required", "if_available"]))
def test_no_failed_check_ends_in_accept(checks, pad):
    _, decision, _ = judged(checks, pad=pad)
    assert decision != "accept" or all(checks.values())
