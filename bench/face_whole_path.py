"""The whole face path with SCRFD and ArcFace files: picture to features, ours and InsightFace's.

- At the same input size, and at our own choice of scale; each decodes for itself, JPEG with
  simplejpeg.
- CPU time of the process, one thread an inference, of the pictures in which all find a face. The
  paths look at a picture one after the other, in each order equally often.
- Decisions are compared at the pack's operating points, or at `THRESHOLD` where it has none, and
  on average over thresholds around them, since one says little where pairs are few.
- A picture without a face never passes. One that we refuse since it shows several people,
  where `FaceAnalysis` takes the largest, is counted but decides no pair.
"""

import contextlib
import itertools
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import numpy.typing as npt
import simplejpeg

from bench.face_photos import Photos
from bench.harness import Result
from edge.errors import ConfigError, ImageError
from edge.hotpath.reasons import Reason
from edge.imaging import decode_rgb, probe_image
from edge.models.engine import FaceEngine
from edge.models.manifest import MANIFEST, load_manifest
from edge.models.view import FrameView
from kanhe.progress import show_progress

SIDE = 640
THRESHOLD = 0.3
THRESHOLDS = 19
"""Of the average; evenly from below the lowest operating point to above the strictest, as far as
InsightFace's scores of different persons deviate."""
ROUNDS_MAX = 6
"""In so many rounds each picture is met in every order of the three paths."""
DIFFER_MAX = 0.001
BLOCK = 16_384
"""Pairs that are scored together."""

Features = npt.NDArray[np.float32]
Scores = npt.NDArray[np.float32]
Look = Callable[[bytes], Features | Reason]
Found = Sequence[Features | Reason]


def compare_whole_paths(name: str, folder: Path, photos: Photos, rounds: int) -> Result:
    """Compare our two ways with a pack (`own`, `same`) and InsightFace's (`theirs`).

    Raises:
        ConfigError: A picture can't be read, or fewer than two show a face to all.
    """
    engine = FaceEngine(folder)
    with tempfile.TemporaryDirectory(prefix="kanhe-pack-") as place:
        paths = {"own": _ours(engine), "same": _ours(FaceEngine(_same_size(folder, Path(place)))),
                 "theirs": _theirs(folder)}
        found, spent = look_in_turn(paths, photos, rounds)
    seen = np.array([not any(isinstance(item, Reason) for item in items)
                     for items in zip(*found.values(), strict=True)])
    if seen.sum() < 2:
        raise ConfigError(f"a face is found by all in {seen.sum()} of {len(seen)} pictures: "
                          "too few to compare")
    times = {path: np.median(values, axis=0)[seen] for path, values in spent.items()}
    middle = {path: float(np.median(each)) for path, each in times.items()}
    total = {path: float(each.sum()) for path, each in times.items()}
    points = {point.threshold for point in engine.manifest.operating_points} or {THRESHOLD}
    decided = compare_decisions(photos, found, sorted(points))
    wrong = max(share for path in ("own", "same")
                for at, share in decided["pairs_that_differ"][path].items() if at != "mean")
    return Result(
        measure=name, ours=round(middle["own"], 2), theirs=round(middle["theirs"], 2), unit="ms",
        ratio=round(middle["own"] / middle["theirs"], 3),
        against="FaceAnalysis.get with the same files, input 640x640, one thread",
        n=rounds * int(seen.sum()),
        settings={
            "pack": engine.pack_id, "pictures": len(photos.pictures), "drawn_from": photos.found,
            "rounds": rounds,
            "ratio_at_the_same_input": round(middle["same"] / middle["theirs"], 3),
            "sums_ms": {path: round(each, 1) for path, each in total.items()},
            "ratios_of_sums": {path: round(total[path] / total["theirs"], 3)
                               for path in ("own", "same")},
            "no_features": {path: Counter(item.value for item in items if isinstance(item, Reason))
                            for path, items in found.items()},
            **decided,
        },
        valid=wrong <= DIFFER_MAX, why="decisions differ" if wrong > DIFFER_MAX else "",
    )


def look_in_turn(
    paths: Mapping[str, Look], photos: Photos, rounds: int
) -> tuple[dict[str, Found], dict[str, npt.NDArray[np.float64]]]:
    """Let every path look at every picture, after one look at the first to warm up.

    Returns:
        By path, what it finds, by picture; and its CPU milliseconds, (rounds, pictures).

    Raises:
        ConfigError: A picture can't be read.
    """
    count = len(photos.pictures)
    found: dict[str, list[Features | Reason]] = {path: [] for path in paths}
    spent = {path: np.zeros((rounds, count)) for path in paths}
    orders = list(itertools.permutations(paths))
    for look in paths.values():
        _look_at(look, photos, 0, photos.read(0))
    for turn, number in itertools.product(range(rounds), range(count)):
        show_progress(turn * count + number, rounds * count, "pictures")
        frame = photos.read(number)
        for path in orders[(turn + number) % len(orders)]:
            features, spent[path][turn, number] = _look_at(paths[path], photos, number, frame)
            if turn == 0:
                found[path].append(features)
    show_progress(rounds * count, rounds * count, "pictures")
    return {**found}, spent


def _look_at(
    look: Look, photos: Photos, number: int, frame: bytes
) -> tuple[Features | Reason, float]:
    """Give what a path finds in a picture that was read, and its CPU milliseconds."""
    try:
        start = time.process_time()
        features = look(frame)
        return features, (time.process_time() - start) * 1e3
    except ImageError as error:
        raise ConfigError(f"{photos.pictures[number]!s:.200}: {error}") from error


def _ours(engine: FaceEngine) -> Look:
    def look(frame: bytes) -> Features | Reason:
        """Decode, find and embed with our engine."""
        (view,) = engine.views([frame], None)
        return view.features if isinstance(view, FrameView) else view.reason

    return look


def _theirs(folder: Path) -> Look:
    import onnxruntime
    from insightface.app import FaceAnalysis

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    with contextlib.redirect_stdout(sys.stderr):
        analysis = FaceAnalysis(
            str(folder), providers=["CPUExecutionProvider"], sess_options=options,
            allowed_modules=["detection", "recognition"])
        analysis.prepare(-1, det_size=(SIDE, SIDE))

    def look(frame: bytes) -> Features | Reason:
        """Decode, and let `FaceAnalysis` find and embed; the largest face's features count."""
        faces: list[Any] = analysis.get(_decode_bgr(frame))
        if not faces:
            return Reason.FACE_ABSENT
        largest = max(faces, key=lambda face: face.bbox[2] - face.bbox[0])
        features: Features = largest.normed_embedding
        return features

    return look


def _decode_bgr(frame: bytes) -> npt.NDArray[np.uint8]:
    """Decode for InsightFace, upright: a plain JPEG as fast as we do, anything else as we do."""
    try:
        if probe_image(frame).orientation == 1:
            return np.asarray(simplejpeg.decode_jpeg(frame, "BGR"), np.uint8)
    except ValueError:
        pass  # no JPEG, or CMYK
    return np.asarray(cv2.cvtColor(decode_rgb(frame), cv2.COLOR_RGB2BGR), np.uint8)


def compare_decisions(
    photos: Photos, found: Mapping[str, Found], points: Sequence[float]
) -> dict[str, Any]:
    """Give the shares of pairs that our ways decide otherwise, by threshold.

    Args:
        photos: With the pairs to decide.
        found: By path (`own`, `same`, `theirs`), features of length 1 of each picture, (d,), or
            why there are none.
        points: The pack's thresholds, rising.

    Raises:
        ConfigError: No pair of different persons has features.
    """
    scores = {path: _scores(items, photos.pairs) for path, items in found.items()}
    told: dict[str, Any] = {"pairs": len(photos.pairs), "pairs_that_differ": {}}
    kinds = {"pairs_that_differ": np.ones(len(photos.pairs), np.bool_)}
    unlike = scores["theirs"]
    if photos.same is not None:
        told |= {"same_person": int(photos.same.sum()), "same_person_that_differ": {}}
        kinds["same_person_that_differ"] = photos.same
        unlike = unlike[~photos.same]
    if not np.isfinite(unlike).any():
        raise ConfigError("there is no pair of different persons' faces")
    spread = float(np.nanstd(unlike))
    around = np.linspace(points[0] - spread, points[-1] + spread, THRESHOLDS)
    for name, path in itertools.product(kinds, ("own", "same")):
        alone = np.array([item is not Reason.FACE_MULTIPLE for item in found[path]])
        taken = kinds[name] & alone[photos.pairs].all(axis=1)
        both = scores[path][taken], scores["theirs"][taken]
        told[name][path] = {f"{at:g}": round(_differing(*both, at), 6) for at in points} | {
            "mean": round(float(np.mean([_differing(*both, at) for at in around])), 6)}
    return told | {"mean_over": [round(float(at), 4) for at in (around[0], around[-1])]}


def _differing(ours: Scores, theirs: Scores, threshold: float) -> float:
    """Give the share of pairs that the two decide otherwise."""
    return float(((ours > threshold) != (theirs > threshold)).mean()) if len(ours) else 0.0


def _scores(found: Found, pairs: npt.NDArray[np.intp]) -> Scores:
    """Give cosines, (n,); NaN, which passes no threshold, where a picture has no features."""
    width = next(len(item) for item in found if not isinstance(item, Reason))
    rows = np.array([np.full(width, np.nan) if isinstance(item, Reason) else item
                     for item in found], np.float32)
    blocks = np.split(pairs, range(BLOCK, len(pairs), BLOCK))
    return np.concatenate([
        np.einsum("ij,ij->i", rows[block[:, 0]], rows[block[:, 1]]) for block in blocks])


def _same_size(source: Path, folder: Path) -> Path:
    """Lay the pack into a folder, with the search fixed to InsightFace's size."""
    manifest = load_manifest(source)
    files = []
    for file in manifest.files:
        (folder / file.name).symlink_to((source / file.name).resolve())
        fixed = file
        if file.role == "detector":
            fixed = msgspec.structs.replace(file, parameters=msgspec.structs.replace(
                file.parameters, search_sides=(SIDE,), enough_px=0, refine_side=SIDE))
        files.append(fixed)
    said = msgspec.structs.replace(manifest, files=tuple(files))
    (folder / MANIFEST).write_bytes(msgspec.json.encode(said))
    return folder
