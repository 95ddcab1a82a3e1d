"""A burst that is one picture is told from a head that merely holds still."""

import cv2
import numpy as np
import pytest

from edge.hotpath.holder import Probe
from edge.models.burst import BurstRules, fuse_views
from edge.models.detection import Face
from edge.models.quality import Floors
from edge.models.stills import MOTION_MIN, is_still, motion
from edge.models.view import FrameView
from kanhe.demo.people import PEOPLE, load_portrait
from tests.models.bursts import COPIES, jpeg, scaled, swaying


def framed(person) -> np.ndarray:
    """Put a portrait into a frame, so that it can sway without leaving it."""
    picture = load_portrait(person)
    picture = scaled(picture, 420 / picture.shape[0])
    return cv2.copyMakeBorder(picture, 60, 60, 110, 110, cv2.BORDER_REFLECT)


@pytest.fixture(scope="module", params=PEOPLE[:3], ids=lambda p: p.key)
def person(request, face_engine):
    picture = framed(request.param)
    (view,) = face_engine.views([jpeg(picture)], None)
    assert isinstance(view, FrameView)
    return picture, view.points


@pytest.mark.parametrize("how", COPIES)
def test_copies_of_one_picture_are_a_still(face_engine, person, how):
    picture, _ = person
    probe = face_engine.probe(COPIES[how](picture))
    assert isinstance(probe, Probe)
    assert probe.checks == {"still": False}


@pytest.mark.parametrize("seed", range(2))
def test_a_head_that_sways_two_millimetres_is_none(face_engine, person, seed):
    probe = face_engine.probe(swaying(*person, seed=seed))
    assert isinstance(probe, Probe)
    assert probe.checks == {"still": True}
    assert len(probe.track) == 5


def test_one_frame_or_two_different_ones_say_nothing(face_engine, person):
    frames = swaying(*person, frames=2)
    assert face_engine.probe(frames[:1]).checks == {}
    assert face_engine.probe(frames).checks == {}


def test_a_gate_faster_than_its_camera_sends_frames_twice(face_engine, person):
    a, b, c = swaying(*person, frames=3, seed=5)
    assert face_engine.probe([a, a, b, b, c]).checks == {"still": True}
    assert face_engine.probe([a, a, b, b]).checks == {}


def view(picture, left, top, side=200, **differently) -> FrameView:
    """View a face whose box is given, without any model."""
    window = (left, top, left + side, top + side)
    thumb = cv2.resize(picture[top : top + side, left : left + side], (64, 64),
                       interpolation=cv2.INTER_AREA)
    height, width = picture.shape
    middle = np.float32([left + side / 2, top + side / 2])
    points = middle + np.float32([[60, 0], [40, 0], [-60, 0], [-40, 0], [0, 75]])
    return FrameView(**{
        "box": Face(left, top, left + side, top + side, 1.0), "points": points,
        "scheme": "dlib5", "width": width, "height": height, "features": np.eye(8)[0],
        "components": dict.fromkeys(Floors.__struct_fields__, 1.0), "quality": 1.0,
        "thumb": thumb, "window": window, **differently})


@pytest.fixture(scope="module")
def scenery() -> np.ndarray:
    noise = np.random.default_rng(4).uniform(0, 255, (600, 800)).astype(np.float32)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 9), None, 0, 255,
                         cv2.NORM_MINMAX).astype(np.uint8)


@pytest.mark.parametrize("x,y", [(0, 0), (3, 0), (0, -5), (8, 6)])
def test_motion_is_measured_whatever_the_box_does(scenery, x, y):
    shifted = np.roll(scenery, (y, x), (0, 1))
    # The second box stands elsewhere and is larger, as a detector's would be.
    first, second = view(scenery, 200, 150), view(shifted, 193, 144, 212)
    assert motion(first, second) == pytest.approx(np.hypot(x, y) / 100, abs=0.004)


def test_a_picture_of_another_size_hasnt_moved(scenery):
    larger = cv2.resize(scenery, None, fx=1.25, fy=1.25, interpolation=cv2.INTER_CUBIC)
    assert motion(view(scenery, 200, 150), view(larger, 250, 188, 250)) < MOTION_MIN


@pytest.mark.parametrize("far,still", [(0.5, True), (2.5, False)])
def test_the_threshold_decides(scenery, far, still):
    # Three frames in a row, `far` thresholds from the first to the last: their mean is 2/3.
    moved = (np.float32([[1, 0, MOTION_MIN * x * far], [0, 1, 0]]) for x in (0, 50, 100))
    frames = [view(cv2.warpAffine(scenery, matrix, (800, 600)), 200, 150) for matrix in moved]
    assert is_still(frames) is still


def test_a_view_of_no_burst_is_a_fault_wherever_it_stands(scenery):
    whole = view(scenery, 200, 150)
    without = view_of(whole, thumb=None)
    for pair in ((whole, without), (without, whole)):
        for tell in (motion, lambda a, b: is_still([a, b])):
            with pytest.raises(AssertionError, match="of a burst"):
                tell(*pair)


RULES = BurstRules(pack="p", same_person_min=0.9)


def likeness(cosine: float) -> np.ndarray:
    return np.eye(8)[0] * cosine + np.eye(8)[1] * np.sqrt(1 - cosine**2)


def poor(view: FrameView, **differently) -> FrameView:
    return view_of(view, components={**view.components, "yaw": 0.1}, quality=0.5, **differently)


def view_of(view: FrameView, **differently) -> FrameView:
    return FrameView(**{name: getattr(view, name) for name in view.__struct_fields__}
                     | differently)


def test_identity_is_kept_through_frames_that_arent_compared(scenery):
    front = view(scenery, 200, 150)
    away = poor(front, features=likeness(0.92))
    farther = poor(front, features=likeness(0.80))
    fused = fuse_views([front, away, farther], RULES, {})
    assert isinstance(fused, Probe)
    # Only the frame that faces the camera makes the template.
    assert fused.template.tolist() == [127] + [0] * 7
    assert len(fused.track) == 3
    stranger = poor(front, features=likeness(0.5))
    for burst in ([front, stranger], [stranger, front], [front, away, stranger]):
        found = fuse_views(burst, RULES, {})
        assert (found.reason, found.why) == ("face_multiple", "burst")


def test_a_blurred_frame_is_passed_over_and_accuses_nobody(scenery):
    front = view(scenery, 200, 150)
    blurred = view_of(front, components={**front.components, "sharpness": 0.0}, quality=0.1,
                      features=likeness(0.3))
    fused = fuse_views([front, blurred], RULES, {})
    assert isinstance(fused, Probe)
    assert (len(fused.track), fused.checks) == (1, {})


def test_better_frames_weigh_more(scenery):
    front = view(scenery, 200, 150)
    other = view_of(front, features=likeness(0.95), quality=0.2)
    fused = fuse_views([front, other], RULES, {}).template
    even = fuse_views([front, view_of(other, quality=1.0)], RULES, {}).template
    assert fused[0] == even[0] == 127
    assert 0 < fused[1] < even[1]


def test_of_poor_frames_the_best_says_what_is_wrong(scenery):
    front = view(scenery, 200, 150)
    dark = view_of(front, components={**front.components, "under_exposure": 0.1}, quality=0.9)
    found = fuse_views([poor(front), dark], RULES, {})
    assert (found.reason, found.why) == ("face_quality_low", "under_exposure")


@pytest.mark.parametrize("scores,live_min,checks", [
    ((0.9, 0.6), 0.7, {"passive": True}), ((0.9, 0.4), 0.7, {"passive": False}),
    ((None, 0.9), 0.7, {"passive": True}), ((None, None), 0.7, {}), ((0.9, 0.9), None, {}),
])
def test_passive_scores_are_averaged_over_the_burst(scenery, scores, live_min, checks):
    rules = BurstRules(pack="p", same_person_min=0.9, live_min=live_min)
    views = [view(np.roll(scenery, 9 * at, 1), 200, 150, live=score)
             for at, score in enumerate(scores)]
    assert fuse_views(views, rules, {}).checks == checks
