"""`image-decode`: an untrusted JPEG to pixels, with every bound held, against the bare decoder.

- Ours: header read and held against the bounds, then decoded. Theirs: simplejpeg alone, same size.
- In `settings`: a 12-megapixel capture as the face path decodes it (smallest DCT scale that
  suffices), against OpenCV's whole decode.
"""

import cv2
import numpy as np
import simplejpeg

from bench.harness import Result, interleave
from edge.imaging import DEFAULT_LIMITS, decode_rgb
from edge.models.view import DECODE_SIDE_MIN
from kanhe.demo.frames import face_frame
from kanhe.demo.people import PEOPLE, load_portrait

NAME = "image-decode"
LARGE = (4_000, 3_000)
FRAMES, ROUNDS, SMALL_ROUNDS = 8, 15, 5


def run(small: bool) -> Result:
    """Time both on frames of 1280×720, then on large ones."""
    rounds = SMALL_ROUNDS if small else ROUNDS
    portrait = load_portrait(PEOPLE[0])
    frames = [face_frame(portrait, seed=seed) for seed in range(FRAMES)]
    grown = cv2.resize(decode_rgb(frames[0]), LARGE, interpolation=cv2.INTER_CUBIC)
    large = simplejpeg.encode_jpeg(np.ascontiguousarray(grown, np.uint8), 88)

    def _ours() -> None:
        for frame in frames:
            decode_rgb(frame)

    def _theirs() -> None:
        for frame in frames:
            simplejpeg.decode_jpeg(frame, "RGB", fastupsample=True)

    ours_s, theirs_s = interleave(_ours, _theirs, rounds, FRAMES)
    data = np.frombuffer(large, np.uint8)
    ours_large, cv2_large = interleave(
        lambda: decode_rgb(large, DEFAULT_LIMITS, DECODE_SIDE_MIN),
        lambda: cv2.imdecode(data, cv2.IMREAD_COLOR), 3)
    return Result(
        measure=NAME, ours=round(ours_s * 1e3, 3), theirs=round(theirs_s * 1e3, 3), unit="ms",
        ratio=round(ours_s / theirs_s, 3),
        against="simplejpeg.decode_jpeg alone, same size and options", n=FRAMES * rounds,
        settings={"size": "1280x720", "large": "4000x3000 to 1280 or more",
                  "large_ours_ms": round(ours_large * 1e3, 2),
                  "large_opencv_ms": round(cv2_large * 1e3, 2)},
    )
