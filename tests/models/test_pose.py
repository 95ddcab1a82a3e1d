"""Poses from five points: a head that turns is seen to turn, a picture that turns is not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.models.pose import estimate_pose

# An average head in distances between the eyes: x to the picture's right, y down, z away.
HEADS = {
    "dlib5": np.array([[0.73, 0, 0.07], [0.27, 0, -0.07], [-0.73, 0, 0.07], [-0.27, 0, -0.07],
                       [0, 0.75, -0.30]]),
    "arcface5": np.array([[-0.5, 0, 0], [0.5, 0, 0], [0, 0.64, -0.42], [-0.4, 1.05, 0],
                          [0.4, 1.05, 0]]),
}
EYES_PX = 100.0


def turned(yaw=0.0, pitch=0.0, roll=0.0):
    """Turn a head to its own left (yaw), up (pitch) and clockwise in the picture (roll)."""
    a, b, c = np.deg2rad([yaw, pitch, roll])
    left = np.array([[np.cos(a), 0, -np.sin(a)], [0, 1, 0], [np.sin(a), 0, np.cos(a)]])
    up = np.array([[1, 0, 0], [0, np.cos(b), np.sin(b)], [0, -np.sin(b), np.cos(b)]])
    leaning = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return leaning @ up @ left


def seen(points, scheme, *, away=8.0):
    """Look at points in space from a distance (in eye distances)."""
    depth = away / (away + points[:, 2:])
    flat = points[:, :2] * depth * EYES_PX + 300
    return estimate_pose(flat.astype(np.float32), scheme, 640, 480)


@pytest.mark.parametrize("scheme", HEADS)
@pytest.mark.parametrize("yaw", [-40, -25, 25, 40])
def test_a_turn_to_the_own_left_is_positive_and_about_as_large(scheme, yaw):
    pose = seen(HEADS[scheme] @ turned(yaw).T, scheme)
    assert pose.yaw_deg == pytest.approx(yaw, abs=9)
    assert np.sign(pose.turn_deg) == np.sign(yaw)
    assert 15 < abs(pose.turn_deg) <= abs(pose.yaw_deg) + 1e-9


@pytest.mark.parametrize("scheme", HEADS)
@pytest.mark.parametrize("pitch", [-15, 15, 30])
def test_looking_up_is_positive(scheme, pitch):
    rest = seen(HEADS[scheme], scheme)
    pose = seen(HEADS[scheme] @ turned(0, pitch).T, scheme)
    assert pose.pitch_deg - rest.pitch_deg == pytest.approx(pitch, abs=8)
    assert abs(pose.turn_deg) < 3


@pytest.mark.parametrize("scheme", HEADS)
def test_leaning_is_neither_a_turn_nor_a_nod(scheme):
    rest = seen(HEADS[scheme], scheme)
    pose = seen(HEADS[scheme] @ turned(0, 0, 20).T, scheme)
    assert pose.roll_deg == pytest.approx(20, abs=0.5)
    assert abs(pose.turn_deg) < 3
    assert pose.pitch_deg == pytest.approx(rest.pitch_deg, abs=0.5)


@pytest.mark.parametrize("scheme", HEADS)
def test_coming_nearer_is_told_whatever_the_turn(scheme):
    near = seen(HEADS[scheme] * 1.5, scheme).nearness / seen(HEADS[scheme], scheme).nearness
    assert near == pytest.approx(1.5, rel=0.05)
    turn = seen(HEADS[scheme] @ turned(30).T, scheme)
    assert turn.nearness == pytest.approx(seen(HEADS[scheme], scheme).nearness, rel=0.1)


@pytest.mark.parametrize("scheme", HEADS)
@given(yaw=st.floats(-35, 35))
@settings(max_examples=60)
def test_a_picture_turned_aside_doesnt_turn_its_head(scheme, yaw):
    flat = HEADS[scheme] * [1, 1, 0]
    # As far away as a hand holds a picture of a life-size face: some 40 cm.
    pose = seen(flat @ turned(yaw).T, scheme, away=6.5)
    assert abs(pose.turn_deg) < 12


@given(yaw=st.floats(-40, 40), pitch=st.floats(-40, 40), roll=st.floats(-30, 30))
@settings(max_examples=100)
def test_with_a_mouth_no_tilt_of_a_picture_is_a_turn(yaw, pitch, roll):
    flat = HEADS["arcface5"] * [1, 1, 0]
    pose = seen(flat @ turned(yaw, pitch, roll).T, "arcface5", away=6.5)
    assert abs(pose.turn_deg) < 12


@pytest.mark.parametrize("scheme", HEADS)
@pytest.mark.parametrize("points", [
    np.zeros((5, 2)), np.full((5, 2), np.nan), np.full((5, 2), np.inf),
    np.tile([[7.0, 9.0]], (5, 1)),
])
def test_points_that_are_no_face_have_no_pose(scheme, points):
    assert estimate_pose(points.astype(np.float32), scheme, 640, 480).turn_deg == 0


@given(st.lists(st.floats(-1e4, 1e4, width=32), min_size=10, max_size=10))
def test_any_points_give_numbers(values):
    for scheme in HEADS:
        pose = estimate_pose(np.array(values, np.float32).reshape(5, 2), scheme, 640, 480)
        assert all(np.isfinite(getattr(pose, name)) for name in pose.__struct_fields__)
