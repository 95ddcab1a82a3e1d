"""`kanhe face compare`, `face pairs` and `face identify`: what a pack says of pictures."""

import argparse
import csv
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import orjson

from edge.errors import ConfigError, ImageError
from edge.hotpath.holder import Probe, ProbeFault, compare_templates
from edge.models.convert import PACK_ID
from edge.models.engine import FaceEngine
from kanhe.identify import add_action
from kanhe.packs import open_pack
from kanhe.progress import show_progress

FMR_SHOWN = 1e-3
FMRS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
ERRORS_MIN = 3
"""An error rate is given only where the pairs bear at least so many errors."""


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
    point = engine.threshold(FMR_SHOWN)
    threshold, fmr = point if point else engine.strictest()
    line: dict[str, object] = {
        "score": None, "threshold": threshold, "fmr": fmr, "match": False,
        "quality": {"a": _quality(one), "b": _quality(other)}, "pack": engine.pack_id,
    }
    whole = isinstance(one, Probe) and isinstance(other, Probe)
    if isinstance(one, Probe) and isinstance(other, Probe):
        score = compare_templates(one.template, other.template)
        line |= {"score": round(score, 4), "match": score > threshold}
    sys.stdout.buffer.write(orjson.dumps(line) + b"\n")
    return 0 if whole else 1


def run_pairs(args: argparse.Namespace) -> int:
    """Score labelled pairs; each image is judged once."""
    engine = open_pack(args.pack)
    root = args.root or args.pairs.parent
    rows = _read_rows(args.pairs)
    names = sorted({row[side] for row in rows for side in ("a", "b")})
    probes: dict[str, Probe | ProbeFault | None] = {}
    for number, name in enumerate(names, 1):
        try:
            probes[name] = _probe(engine, root / name)
        except ConfigError as error:
            print(f"kanhe: {error}", file=sys.stderr)
            probes[name] = None
        show_progress(number, len(names), name)
    scored = [{**row, "score": _score(probes[row["a"]], probes[row["b"]])} for row in rows]
    target = args.out.open("w", newline="", encoding="utf-8") if args.out else sys.stdout
    writer = csv.DictWriter(target, ["a", "b", "same", "score"])
    writer.writeheader()
    writer.writerows(scored)
    if args.out:
        target.close()
    failed = sum(not isinstance(probe, Probe) for probe in probes.values())
    summary = summarise(scored, failed / max(1, len(names)))
    sys.stdout.write(orjson.dumps({"pack": engine.pack_id, **summary}).decode() + "\n")
    return 0


def summarise(rows: list[dict[str, str]], fta: float) -> dict[str, object]:
    """Give failure to acquire, equal error rate, and FNMR at the FMRs that the pairs bear.

    Args:
        rows: With `same` and `score`, empty where no face was found.
        fta: Share of images without a usable face.
    """
    scores = {True: [], False: []}  # type: dict[bool, list[float]]
    for row in rows:
        if row["score"]:
            scores[row["same"] == "1"].append(float(row["score"]))
    genuine, impostor = np.sort(scores[True]), np.sort(scores[False])
    rates = {}
    for fmr in FMRS:
        if len(impostor) * fmr >= ERRORS_MIN and len(genuine):
            threshold = float(np.quantile(impostor, 1 - fmr))
            rates[f"{fmr:g}"] = {"threshold": round(threshold, 4),
                                 "fnmr": round(float((genuine <= threshold).mean()), 4)}
    return {"pairs": len(rows), "genuine": len(genuine), "impostor": len(impostor),
            "fta": round(fta, 4), "eer": _eer(genuine, impostor), "fnmr_at_fmr": rates}


def _eer(
    genuine: npt.NDArray[np.float64], impostor: npt.NDArray[np.float64]
) -> float | None:
    if not len(genuine) or not len(impostor):
        return None
    thresholds = np.concatenate([genuine, impostor])
    fnmr = np.searchsorted(genuine, thresholds, "right") / len(genuine)
    fmr = 1 - np.searchsorted(impostor, thresholds, "right") / len(impostor)
    best = int(np.argmin(np.abs(fnmr - fmr)))
    return round(float((fnmr[best] + fmr[best]) / 2), 4)


def _read_rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    if not rows or not {"a", "b", "same"} <= set(rows[0]):
        raise ConfigError(f"{path} needs the columns a, b, same")
    return [{name: row[name] for name in ("a", "b", "same")} for row in rows]


def _probe(engine: FaceEngine, path: Path) -> Probe | ProbeFault:
    try:
        return engine.probe([path.read_bytes()])
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except ImageError as error:
        raise ConfigError(f"{path}: {error}") from error


def _score(one: Probe | ProbeFault | None, other: Probe | ProbeFault | None) -> str:
    if isinstance(one, Probe) and isinstance(other, Probe):
        return f"{compare_templates(one.template, other.template):.4f}"
    return ""


def _quality(probe: Probe | ProbeFault) -> object:
    if isinstance(probe, ProbeFault):
        return {"fault": probe.reason.value, "why": probe.why}
    return {"unified": round(probe.quality, 3),
            **{name: round(value, 3) for name, value in probe.components.items()}}
