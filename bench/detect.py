"""`detect`: finding the face in decoded pixels against the model runtime's own time in it.

- Ours: scaling, pyramid, network, boxes, suppression, voting. Theirs: the seconds that
  `session.run` took in the very same calls.
"""

import statistics
import time
from pathlib import Path

from bench.harness import Result
from edge.imaging import decode_rgb
from edge.models.assemble import assemble
from edge.models.convert import ensure_default_pack
from edge.models.manifest import load_manifest
from kanhe.demo.frames import face_frame
from kanhe.demo.people import PEOPLE, load_portrait

NAME = "detect"
PACKS = Path("var/packs")
ROUNDS, SMALL_ROUNDS = 12, 3


def run(small: bool) -> Result:
    """Detect in one frame of each person, in rounds."""
    folder = ensure_default_pack(PACKS)
    manifest = load_manifest(folder)
    detector = assemble(folder, manifest, 1).detector
    side = detector.search_sides[0]
    pictures = [decode_rgb(face_frame(load_portrait(person), seed=3)) for person in PEOPLE]
    ours, theirs, missed = [], [], 0
    for turn in range((SMALL_ROUNDS if small else ROUNDS) + 1):
        for picture in pictures:
            start = time.perf_counter()
            faces, seconds = detector.detect(picture, side)
            took = time.perf_counter() - start
            missed += len(faces) != 1
            if turn:
                ours.append(took * 1e3)
                theirs.append(seconds * 1e3)
    return Result(
        measure=NAME, ours=round(statistics.median(ours), 3),
        theirs=round(statistics.median(theirs), 3), unit="ms",
        ratio=round(statistics.median(a / b for a, b in zip(ours, theirs, strict=True)), 3),
        against="sum of session.run in the same calls", n=len(ours),
        settings={"size": "1280x720", "searched": side, "pack": manifest.id},
        valid=missed == 0, why=f"{missed} pictures without exactly one face" if missed else "",
    )
