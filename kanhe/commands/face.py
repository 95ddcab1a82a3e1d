"""`kanhe face compare`, `face pairs` and `face identify`: what a pack says of pictures."""

import argparse
import csv
import sys
from pathlib import Path
from typing import TextIO

import numpy as np
import numpy.typing as npt
import orjson

from edge.errors import ConfigError, ImageError
from edge.hotpath.holder import Probe, ProbeFault, compare_templates
from edge.hotpath.rates import serving_point
from edge.models.convert import PACK_ID
from edge.models.engine import FaceEngine
from edge.models.operating import pack_points
from kanhe.calibration.gather import Images, Judged, judge_images, read_pairs
from kanhe.calibration.measure import Measurer, fold_accuracy
from kanhe.calibration.score import pair_scores, score_images
from kanhe.identify import add_action
from kanhe.packs import open_pack
from kanhe.progress import show_progress

FMR_SHOWN = 1e-3


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `face compare` and `face pairs`."""
    parser = subparsers.add_parser("face", help="compare faces")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    compare = actions.add_parser("compare", help="two images → score, threshold, match")
    compare.add_argument("a", type=Path, metavar="A")
    compare.add_argument("b", type=Path, metavar="B")
    compare.set_defaults(run=run_compare)
    pairs = actions.add_parser("pairs", help="rows a,b,same → scores and error rates")
    pairs.add_argument("pairs", type=Path, metavar="PAIRS.csv")
    pairs.add_argument("--root", type=Path, metavar="DIR", help="folder that paths begin in")
    pairs.add_argument("--out", type=Path, metavar="F", help="write the rows here")
    pairs.set_defaults(run=run_pairs)
    add_action(actions)
    for action in (compare, pairs):
        action.add_argument("--pack", default=PACK_ID, metavar="P")


def run_compare(args: argparse.Namespace) -> int:
    """Compare two images."""
    engine = open_pack(args.pack)
    one, other = (_probe(engine, path) for path in (args.a, args.b))
    points = pack_points(engine.manifest)
    point = serving_point(points, FMR_SHOWN) or min(
        points, key=lambda item: item.fmr, default=None)
    line: dict[str, object] = {
        "score": None, "threshold": point.threshold if point else None,
        "fmr": point.fmr if point else None, "match": False,
        "quality": {"a": _quality(one), "b": _quality(other)}, "pack": engine.pack_id,
    }
    whole = isinstance(one, Probe) and isinstance(other, Probe)
    if isinstance(one, Probe) and isinstance(other, Probe):
        score = compare_templates(one.template, other.template)
        line |= {"score": round(score, 4), "match": point is not None and score > point.threshold}
    sys.stdout.buffer.write(orjson.dumps(line) + b"\n")
    return 0 if whole else 1


def run_pairs(args: argparse.Namespace) -> int:
    """Score labelled pairs; each image is judged once."""
    engine = open_pack(args.pack)
    images = read_pairs(args.pairs)
    judged = judge_images(images, args.root or args.pairs.parent, engine.probe, show_progress)
    scores = pair_scores(images, judged)
    target = args.out.open("w", newline="", encoding="utf-8") if args.out else sys.stdout
    write_rows(target, images, scores)
    if args.out:
        target.close()
    line = {"pack": engine.pack_id, **summarise(images, judged, scores)}
    sys.stdout.write(orjson.dumps(line).decode() + "\n")
    return 0


def write_rows(target: TextIO, images: Images, scores: npt.NDArray[np.float32]) -> None:
    """Write the pairs with their scores, empty where an image has no usable face."""
    pairs = images.pairs or ()
    folds = ["fold"] if any(pair.fold for pair in pairs) else []
    writer = csv.writer(target)
    writer.writerow(["a", "b", "same", *folds, "score"])
    for pair, score in zip(pairs, scores, strict=True):
        row = [images.names[pair.a], images.names[pair.b], int(pair.same)]
        shown = f"{score:.4f}" if np.isfinite(score) else ""
        writer.writerow([*row, *([pair.fold] if folds else []), shown])


def summarise(
    images: Images, judged: Judged, scores: npt.NDArray[np.float32]
) -> dict[str, object]:
    """Give what the pairs say: FTA, EER, FNMR at the FMRs that they bear, accuracy over folds.

    A failure to acquire counts: a genuine pair with one is missed, and no pair with one is right.
    """
    scored = score_images(images, judged)
    measured = Measurer(images, judged, scored).measure({})
    pairs = images.pairs or ()
    accuracy = fold_accuracy(
        np.array([pair.same for pair in pairs]), scores, [pair.fold for pair in pairs])
    summary: dict[str, object] = {
        "pairs": len(pairs), "genuine": len(scored.genuine), "impostor": scored.impostor_total,
        "fta": round(len(judged.faults) / len(images.names), 4),
        "eer": None if measured.eer is None else round(measured.eer, 4),
        "fnmr_at_fmr": {
            f"{point.fmr:g}": {
                "threshold": round(point.threshold, 4), "fnmr": point.fnmr,
                "fnmr_95": [point.fnmr_low, point.fnmr_high],
                "fmr_95": [point.fmr_low, point.fmr_high], "errors": point.errors,
            } for point in measured.points
        },
        "unborne": measured.unborne,
    }
    if accuracy is not None:
        summary["fold_accuracy"] = {
            "mean": round(accuracy[0], 4), "standard_error": round(accuracy[1], 4)}
    return summary


def _probe(engine: FaceEngine, path: Path) -> Probe | ProbeFault:
    try:
        return engine.probe([path.read_bytes()])
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except ImageError as error:
        raise ConfigError(f"{path}: {error}") from error


def _quality(probe: Probe | ProbeFault) -> object:
    if isinstance(probe, ProbeFault):
        return {"fault": probe.reason.value, "why": probe.why}
    return {"unified": round(probe.quality, 3),
            **{name: round(value, 3) for name, value in probe.components.items()}}
