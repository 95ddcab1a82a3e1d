"""Frames become texts: generated phones, hard images, bombs, and a child that may die."""

import os
import signal
import time

import cv2
import numpy as np
import pytest
import simplejpeg

from edge.capture.reader import FrameReader
from edge.capture.zbar_child import RESPAWN_INTERVAL_S, ZbarChild
from edge.errors import ImageError
from edge.hotpath.qr.reading import CodeReading, Why, pick_presentation
from edge.hotpath.verdict import Verdict
from edge.imaging import ImageLimits, decode_grey, decode_rgb, probe_image
from kanhe.demo.frames import EASY, HARD, USUAL, draw_code, phone_frame, several_codes_frame

TEXT = "KH1:7601*MQ2G4HT:YJFZM04QLZJG+R .GZH3PM8IIDMWCT0FV-ESBB31PF1"
OTHER = "KH1:%B01*MOAG*E2TYMZ858E8O:7K.P60U0E0GQ8+K1MY7C$SHMTZ$3846U4"


def png(plane) -> bytes:
    return cv2.imencode(".png", plane)[1].tobytes()


@pytest.mark.parametrize("conditions", [EASY, USUAL, HARD], ids=["easy", "usual", "hard"])
@pytest.mark.parametrize("seed", range(3))
def test_a_phone_before_the_camera_is_read_exactly(conditions, seed):
    reading = FrameReader().read(phone_frame(TEXT, seed=seed, conditions=conditions))
    assert reading.texts == (TEXT,)


@pytest.mark.parametrize("change", [
    lambda p: 255 - p, np.rot90, lambda p: (p * 0.15).astype(np.uint8),
    lambda p: np.clip(p.astype(int) // 3 + 170, 0, 255).astype(np.uint8),
], ids=["inverted", "turned", "dark", "pale"])
def test_codes_are_read_however_they_are_shown(change):
    assert FrameReader().read(png(np.ascontiguousarray(change(draw_code(TEXT))))).texts == (TEXT,)


def test_of_several_codes_exactly_one_may_be_ours():
    both = FrameReader().read(several_codes_frame([TEXT, OTHER], seed=1))
    assert set(both.texts) == {TEXT, OTHER}
    assert pick_presentation(both).reason == "codes_multiple"
    assert pick_presentation(CodeReading(texts=("HTTP://X", TEXT))) == TEXT
    assert pick_presentation(CodeReading(texts=("HTTP://X",))) == "HTTP://X"
    assert isinstance(pick_presentation(CodeReading()), Verdict)


def test_a_frame_without_a_code_says_so():
    noise = np.random.default_rng(1).integers(90, 160, (480, 640)).astype(np.uint8)
    reading = FrameReader().read(png(noise))
    assert (reading.texts, reading.why) == ((), Why.NO_CODE)


def test_a_code_that_is_cut_off_says_so():
    plane = np.full((400, 400), 200, np.uint8)
    code = draw_code(TEXT)[:, :150]
    plane[40 : 40 + code.shape[0], 400 - 150 :] = code[:360]
    assert FrameReader().read(png(plane)).why == Why.CUT_OFF


def test_a_bomb_is_refused_from_its_header():
    import struct
    import zlib

    head = b"IHDR" + struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))
    start = time.perf_counter()
    with pytest.raises(ImageError) as refused:
        FrameReader().read(bomb)
    assert refused.value.kind == "too_large"
    assert time.perf_counter() - start < 0.1


@pytest.mark.parametrize("data,kind", [
    (b"", "unsupported"), (b"hello", "unsupported"), (b"\xff\xd8\xff", "damaged"),
    (b"\x89PNG\r\n\x1a\n\0\0", "damaged"), (b"RIFF\0\0\0\0WEBPVP8L", "damaged"),
    (simplejpeg.encode_jpeg(np.zeros((80, 80, 3), np.uint8), 90)[:300], "damaged"),
])
def test_what_is_no_image_is_told_apart(data, kind):
    with pytest.raises(ImageError) as refused:
        decode_grey(data)
    assert refused.value.kind == kind


def test_bounds_are_held_before_decoding():
    jpeg = simplejpeg.encode_jpeg(np.zeros((100, 200, 3), np.uint8), 90)
    for limits in (ImageLimits(bytes_max=10), ImageLimits(pixels_max=19_999),
                   ImageLimits(side_max=199)):
        with pytest.raises(ImageError):
            probe_image(jpeg, limits)
    assert probe_image(jpeg, ImageLimits(pixels_max=20_000)).width == 200


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_followed(orientation):
    picture = np.zeros((40, 80, 3), np.uint8)
    picture[:20, :40, 0] = 250
    jpeg = simplejpeg.encode_jpeg(picture, 95, "RGB")
    entry = b"\x12\x01\x03\0\x01\0\0\0" + bytes([orientation, 0, 0, 0])
    tiff = b"II*\0\x08\0\0\0\x01\0" + entry + bytes(4)
    exif = b"Exif\0\0" + tiff
    tagged = jpeg[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + jpeg[2:]
    upright = cv2.imdecode(np.frombuffer(tagged, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    ours = decode_rgb(tagged)
    assert ours.shape == upright.shape
    assert np.abs(ours.astype(int) - upright).mean() < 3


@pytest.mark.parametrize(("width", "long_side_min", "decoded"), [
    (800, 0, 800), (800, 500, 800), (800, 400, 400), (801, 401, 401), (801, 402, 801),
    (800, 100, 100), (800, 10, 100), (800, 900, 800),
])
def test_colour_is_decoded_at_halves_of_its_size_only(width, long_side_min, decoded):
    for shape in ((60, width, 3), (width, 60, 3)):
        jpeg = simplejpeg.encode_jpeg(np.full(shape, 90, np.uint8), 90, "RGB")
        assert max(decode_rgb(jpeg, long_side_min=long_side_min).shape) == decoded


@pytest.fixture
def zbar():
    child = ZbarChild()
    if not child.warm():
        pytest.skip("libzbar0 isn't installed")
    yield child
    child.close()


def test_zbar_reads_in_a_process_of_its_own(zbar):
    assert zbar.pid != os.getpid()
    assert zbar.read(draw_code(TEXT), 5.0) == (TEXT,)


def test_a_child_that_died_is_replaced(zbar):
    first = zbar.pid
    os.kill(first, signal.SIGABRT)
    time.sleep(RESPAWN_INTERVAL_S + 0.1)
    assert zbar.read(draw_code(TEXT), 5.0) == (TEXT,)
    assert zbar.pid != first


def test_a_child_that_hangs_costs_only_its_time_and_its_life(zbar):
    os.kill(zbar.pid, signal.SIGSTOP)
    start = time.perf_counter()
    assert zbar.read(draw_code(TEXT), 0.3) == ()
    assert time.perf_counter() - start < 2.0
    assert zbar.pid is None
