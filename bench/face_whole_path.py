"""The whole face path with SCRFD and ArcFace files: JPEG to features, ours and InsightFace's.

- At the same input size, and at our own choice of scale; both decode with simplejpeg.
- Decisions on all pairs of pictures are compared at the pack's operating point, or at
  `THRESHOLD` where it has none.
- CPU time of the process, one thread an inference.
"""

import itertools
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import simplejpeg

from bench.harness import Result
from edge.models.engine import FaceEngine
from edge.models.manifest import MANIFEST, load_manifest
from edge.models.view import FrameView
from kanhe.demo.frames import face_frame
from kanhe.demo.people import PEOPLE, load_portrait

SIDE = 640
THRESHOLD = 0.3
DIFFER_MAX = 0.001

Features = npt.NDArray[np.float32] | None


def drawn_captures(count: int) -> list[bytes]:
    """Draw captures of the demo's people, 1280×720; of each at least two."""
    return [face_frame(load_portrait(PEOPLE[turn % len(PEOPLE)]), seed=turn)
            for turn in range(max(count, 2 * len(PEOPLE)))]


def compare_whole_paths(name: str, folder: Path, frames: Sequence[bytes]) -> Result:
    """Compare on JPEG files of one person each."""
    engine = FaceEngine(folder)
    engine.warm()
    paths: dict[str, Callable[[bytes], Features]] = {
        "own": lambda frame: _ours(engine, frame), "theirs": _theirs(folder),
    }
    with _SameSize(folder) as same:
        same_engine = FaceEngine(same)
        paths["same"] = lambda frame: _ours(same_engine, frame)
        spent: dict[str, list[float]] = {path: [] for path in paths}
        found: dict[str, list[Features]] = {path: [] for path in paths}
        for turn, frame in enumerate(frames):
            for path in sorted(paths, reverse=bool(turn % 2)):
                start = time.process_time()
                found[path].append(paths[path](frame))
                spent[path].append((time.process_time() - start) * 1e3)
    point = engine.strictest()
    threshold = point[0] if point else THRESHOLD
    differ = {path: _differing(found[path], found["theirs"], threshold)
              for path in ("own", "same")}
    times = {path: float(np.median(values[1:])) for path, values in spent.items()}
    wrong = max(differ.values())
    return Result(
        measure=name, ours=round(times["own"], 2), theirs=round(times["theirs"], 2), unit="ms",
        ratio=round(times["own"] / times["theirs"], 3),
        against="FaceAnalysis.get with the same files, input 640x640, one thread", n=len(frames),
        settings={"pack": engine.pack_id,
                  "ratio_at_the_same_input": round(times["same"] / times["theirs"], 3),
                  "pairs_that_differ": {path: round(share, 5) for path, share in differ.items()},
                  "threshold": threshold},
        valid=wrong <= DIFFER_MAX, why="decisions differ" if wrong > DIFFER_MAX else "",
    )


def _ours(engine: FaceEngine, frame: bytes) -> Features:
    (view,) = engine.views([frame], None)
    return view.features if isinstance(view, FrameView) else None


def _theirs(folder: Path) -> Callable[[bytes], Features]:
    import onnxruntime
    from insightface.app import FaceAnalysis

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    analysis = FaceAnalysis(str(folder), providers=["CPUExecutionProvider"], sess_options=options,
                            allowed_modules=["detection", "recognition"])
    analysis.prepare(-1, det_size=(SIDE, SIDE))

    def get(frame: bytes) -> Features:
        faces: list[Any] = analysis.get(simplejpeg.decode_jpeg(frame, "BGR"))
        if not faces:
            return None
        largest = max(faces, key=lambda face: face.bbox[2] - face.bbox[0])
        features: npt.NDArray[np.float32] = largest.normed_embedding
        return features

    return get


def _differing(ours: list[Features], theirs: list[Features], threshold: float) -> float:
    """Give the share of pairs of pictures on which the two decide otherwise."""
    pairs = list(itertools.combinations(range(len(ours)), 2))

    def decide(found: list[Features], one: int, other: int) -> bool:
        a, b = found[one], found[other]
        return a is not None and b is not None and float(a @ b) > threshold

    return sum(decide(ours, *pair) != decide(theirs, *pair) for pair in pairs) / len(pairs)


class _SameSize:
    """The pack beside itself, with the search fixed to InsightFace's size."""

    def __init__(self, folder: Path) -> None:
        self._source = folder
        self._folder = folder.with_name(f".{folder.name}.same-size")

    def __enter__(self) -> Path:
        manifest = load_manifest(self._source)
        self._folder.mkdir()
        files = []
        for file in manifest.files:
            (self._folder / file.name).symlink_to((self._source / file.name).resolve())
            if file.role == "detector":
                parameters = msgspec.structs.replace(
                    file.parameters, search_sides=(SIDE,), enough_px=0, refine_side=SIDE)
                files.append(msgspec.structs.replace(file, parameters=parameters))
            else:
                files.append(file)
        said = msgspec.structs.replace(manifest, files=tuple(files))
        (self._folder / MANIFEST).write_bytes(msgspec.json.encode(said))
        return self._folder

    def __exit__(self, *_: object) -> None:
        for path in self._folder.iterdir():
            path.unlink()
        self._folder.rmdir()
