"""The search: no larger than it needs to be, and answered as the whole picture answers."""

import cv2
import numpy as np
import pytest

from edge.hotpath.reasons import Reason
from edge.imaging import decode_rgb
from edge.models.detection import Face, fit
from edge.models.forms import FORMS
from edge.models.grid.detector import YunetDetector
from edge.models.search import find_only_face
from kanhe.demo.frames import face_frame
from kanhe.demo.people import PEOPLE, load_portrait
from tests.models.packs import YUNET

needs_yunet = pytest.mark.skipif(not YUNET.is_file(), reason="the YuNet file isn't at hand")
FORM = FORMS["yunet"].defaults
PICTURE = np.zeros((720, 1_280, 3), np.uint8)


class Seen:
    """A detector that sees given faces, by the long side searched; a window has a side of its own.

    Faces are given as left and side in pixels of the whole picture, 1280 wide.
    """

    search_sides, enough_px, refine_side = FORM.search_sides, FORM.enough_px, FORM.refine_side
    has_points = False

    def __init__(self, faces, refined=(), suspected=None):
        self._faces, self._refined, self.sides = faces, refined, []
        self._suspected = suspected or {}

    def look(self, rgb, long_side):
        faces, seconds = self.detect(rgb, long_side)
        return faces, [Face(left, 100.0, left + side - 1.0, 99.0 + side, 0.5)
                       for left, side in self._suspected.get(long_side, ())], seconds

    def detect(self, rgb, long_side, face_px=0.0):
        self.sides.append(long_side)
        whole = rgb.shape == PICTURE.shape
        found = self._faces.get(long_side, ()) if whole else self._refined
        return [Face(left, 100.0, left + side - 1.0, 99.0 + side, 0.9)
                for left, side in found], 0.0


class Counting:
    """A detector that notes the long sides it was asked to search."""

    def __init__(self, detector) -> None:
        self._detector, self.sides = detector, []

    def __getattr__(self, name):
        return getattr(self._detector, name)

    def look(self, rgb, long_side):
        self.sides.append(long_side)
        return self._detector.look(rgb, long_side)

    def detect(self, rgb, long_side, face_px=0.0):
        self.sides.append(long_side)
        return self._detector.detect(rgb, long_side, face_px)


def test_a_face_too_small_is_sought_at_the_first_scale_that_is_enough():
    seen = Seen({224: [(500, 200)], 320: [(500, 200)]})
    find_only_face(PICTURE, seen)
    assert seen.sides[:2] == [224, 320]
    seen = Seen({224: [(500, 120)], 640: [(502, 120)]})
    face, _ = find_only_face(PICTURE, seen)
    assert seen.sides == [224, 640]  # 320 would show 30 pixels of it
    assert face.left == 502


def test_a_scale_is_not_passed_over_for_a_face_that_may_be_a_tenth_larger_than_seen():
    seen = Seen({224: [(500, 75)], 640: [(500, 82)], 1_280: [(500, 82)]})
    find_only_face(PICTURE, seen)
    assert seen.sides == [224, 640]


def test_a_face_smaller_than_any_scale_makes_enough_is_sought_at_the_last():
    seen = Seen({224: [(500, 30)], 1_280: [(500, 30)]})
    face, _ = find_only_face(PICTURE, seen)
    assert seen.sides == [224, 1_280]
    assert face.left == 500


def test_nobody_is_sought_at_every_scale():
    seen = Seen({})
    fault, _ = find_only_face(PICTURE, seen)
    assert fault.reason is Reason.FACE_ABSENT
    assert seen.sides == list(FORM.search_sides)


@pytest.mark.parametrize(("at_640", "several"), [
    ([(300, 300), (900, 200)], True), ([(300, 300), (900, 100)], False), ([(300, 300)], False),
])
def test_several_people_are_held_against_the_scale_of_the_answer(at_640, several):
    seen = Seen({224: [(300, 300), (900, 200)], 640: at_640})
    found, _ = find_only_face(PICTURE, seen)
    assert seen.sides == [224, 640]
    assert isinstance(found, Face) is not several
    assert several is (getattr(found, "reason", None) is Reason.FACE_MULTIPLE)


@pytest.mark.parametrize(("second", "again"), [(160, True), (140, False)])
def test_who_is_only_suspected_is_looked_at_again(second, again):
    seen = Seen({224: [(300, 300)], 640: [(300, 300), (900, second)]},
                suspected={224: [(900, second)]})
    found, _ = find_only_face(PICTURE, seen)
    assert (640 in seen.sides) is again
    assert (getattr(found, "reason", None) is Reason.FACE_MULTIPLE) is again


def test_a_face_that_its_window_does_not_show_stays_as_it_was_found():
    seen = Seen({224: [(300, 300)]}, refined=[(0, 40)])
    face, _ = find_only_face(PICTURE, seen)
    assert len(seen.sides) == 2
    assert (face.left, face.side) == (300, 300)


class Shown:
    """A detector that keeps the windows it is given."""

    search_sides, enough_px, refine_side = FORM.search_sides, FORM.enough_px, FORM.refine_side

    def __init__(self, face):
        self._face, self.windows = face, []

    def look(self, rgb, long_side):
        return [self._face], [], 0.0

    def detect(self, rgb, long_side, face_px=0.0):
        self.windows.append(rgb)
        return [], 0.0


@pytest.mark.parametrize("size", [(1_280, 720), (640, 360), (1_000, 600), (600, 1_000),
                                  (1_437, 921), (437, 581)])
def test_a_window_holds_the_pixels_of_the_whole_search(size):
    picture = np.random.default_rng(3).integers(1, 256, (size[1], size[0], 3), np.uint8)
    wide, tall = size
    box = (wide * 0.6, tall * 0.6, wide * 0.9, tall * 0.9)
    shown = Shown(Face(*box, 0.9))
    find_only_face(picture, shown)
    (window,) = shown.windows
    square = np.zeros((640, 640, 3), np.uint8)
    whole = cv2.resize(picture, fit(wide, tall, (640, 640)))
    scale = whole.shape[0] / tall
    square[: whole.shape[0], : whole.shape[1]] = whole
    left, top = (int((side * scale - 64) // 32 * 32) for side in box[:2])
    assert np.array_equal(window, square[top : top + len(window), left : left + window.shape[1]])
    right, bottom = (min(640, int(-(-(side * scale + 64) // 32) * 32)) for side in box[2:])
    assert window.shape == (bottom - top, right - left, 3)


@needs_yunet
def test_a_face_of_forty_pixels_ends_the_search_and_a_second_one_is_seen_there():
    detector = YunetDetector(YUNET, FORM)
    for side, sides in ((500, [224]), (420, [224, 320]), (160, [224, 320, 640])):
        counting, picture = Counting(detector), np.full((720, 1280, 3), 128, np.uint8)
        picture[40 : 40 + side, 60 : 60 + side] = cv2.resize(load_portrait(PEOPLE[1]), (side, side))
        face, _ = find_only_face(picture, counting)
        assert isinstance(face, Face)
        assert [seen for seen in counting.sides if seen in FORM.search_sides] == sides
        second = round(0.8 * side)
        picture[300 : 300 + second, 800 : 800 + second] = cv2.resize(
            load_portrait(PEOPLE[2]), (second, second))[: 720 - 300, : 1280 - 800]
        found, _ = find_only_face(picture, detector)
        assert found.reason is Reason.FACE_MULTIPLE


@needs_yunet
@pytest.mark.parametrize("size", [(1_280, 720), (500, 281)], ids=["larger", "smaller"])
def test_a_window_answers_as_the_search_of_the_whole_picture(size):
    detector = YunetDetector(YUNET, FORM)
    moved, coarse = [], []
    for turn, person in enumerate(PEOPLE):
        frame = decode_rgb(face_frame(load_portrait(person), seed=turn))
        picture = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
        whole = cv2.resize(picture, (640, 640 * size[1] // size[0]))
        (there, *_), _ = detector.detect(whole, 640)
        points = there.points * (size[0] / 640)
        face, _ = find_only_face(picture, detector)
        (first, *_), _ = detector.detect(picture, FORM.search_sides[0])
        moved.append(np.abs(face.points - points).max() / face.side)
        coarse.append(np.abs(first.points - points).max() / face.side)
    assert np.median(moved) < 0.02
    assert np.median(moved) < 0.3 * np.median(coarse)
