"""`kanhe face identify`: whose face a picture shows, among a folder of people's pictures.

- A folder in the gallery is a person, a picture beside the folders is one too; of several pictures
  of a person the best counts, and the second best is another person's.
- The threshold follows the number of people, as a node's does.
"""

import argparse
import sys
from pathlib import Path

import orjson

from edge.errors import ConfigError, ImageError
from edge.hotpath.holder import Probe, ProbeFault, Template, compare_templates
from edge.hotpath.rates import identification_fmr
from edge.models.convert import PACK_ID
from edge.models.engine import FaceEngine
from kanhe.packs import open_pack
from kanhe.progress import show_progress

FPIR_MAX, MARGIN = 0.01, 0.01
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
PICTURES_MAX = 100_000


def add_action(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `face identify`."""
    parser = actions.add_parser(
        "identify", help="a folder of people and a picture → who it is, or nobody")
    parser.add_argument("gallery", type=Path, metavar="GALLERY_DIR",
                        help="a folder a person, or a picture a person")
    parser.add_argument("probe", type=Path, metavar="PROBE")
    parser.add_argument("--pack", default=PACK_ID, metavar="P")
    parser.add_argument("--fpir", type=float, default=FPIR_MAX, metavar="RATE",
                        help="share of unknown persons that may be taken for somebody")
    parser.add_argument("--margin", type=float, default=MARGIN, metavar="COSINE",
                        help="how far the second best must be behind")
    parser.set_defaults(run=run_identify)


def run_identify(args: argparse.Namespace) -> int:
    """Identify one picture."""
    if not 0.0 < args.fpir < 1.0:
        raise ConfigError("--fpir is a rate between 0 and 1")
    engine = open_pack(args.pack)
    people = _people(args.gallery)
    templates: list[tuple[str, Template]] = []
    for number, (person, path) in enumerate(people, 1):
        try:
            probe = _probe(engine, path)
        except ConfigError as error:  # one damaged picture of many
            print(f"kanhe: {error}, left out", file=sys.stderr)
            continue
        if isinstance(probe, Probe):
            templates.append((person, probe.template))
        else:
            print(f"kanhe: {path}: {probe.reason.value}, left out", file=sys.stderr)
        show_progress(number, len(people), str(path))
    if not templates:
        raise ConfigError(f"{args.gallery}: no picture has a usable face")
    line = _identify(engine, templates, _probe(engine, args.probe), args.fpir, args.margin)
    sys.stdout.buffer.write(orjson.dumps(line) + b"\n")
    return 0 if line["why"] not in ("face_absent", "face_multiple", "face_quality_low") else 1


def _identify(
    engine: FaceEngine, templates: list[tuple[str, Template]], probe: Probe | ProbeFault,
    fpir: float, margin_min: float,
) -> dict[str, object]:
    """Give the line that says who it is."""
    people = len({person for person, _ in templates})
    needed = identification_fmr(fpir, people)
    point = engine.threshold(needed)
    nearest = point or engine.strictest()
    if nearest is None:
        raise ConfigError(f"the pack {engine.pack_id} has no operating point: calibrate it first")
    threshold, fmr = nearest
    line: dict[str, object] = {
        "match": None, "nobody": True, "score": None, "second": None, "margin": None,
        "threshold": threshold, "fmr": fmr, "fmr_needed": needed, "fit": point is not None,
        "people": people, "pack": engine.pack_id, "why": "",
    }
    if isinstance(probe, ProbeFault):
        return line | {"why": probe.reason.value}
    scores: dict[str, float] = {}
    for person, template in templates:
        score = compare_templates(template, probe.template)
        scores[person] = max(score, scores.get(person, -1.0))
    ranked = sorted(scores.items(), key=lambda item: item[1], reverse=True)
    (best, score), second = ranked[0], ranked[1][1] if len(ranked) > 1 else None
    margin = None if second is None else score - second
    why = ""
    if score <= threshold:
        why = "threshold"
    elif margin is not None and margin < margin_min:
        why = "margin"
    return line | {
        "match": None if why else best, "nobody": bool(why), "best": best, "why": why,
        "score": round(score, 4), "second": None if second is None else round(second, 4),
        "margin": None if margin is None else round(margin, 4),
    }


def _people(folder: Path) -> list[tuple[str, Path]]:
    """List persons and their pictures."""
    if not folder.is_dir():
        raise ConfigError(f"{folder} isn't a folder of people's pictures")
    found = []
    for child in sorted(folder.iterdir()):
        # A person's folder may be a link; what is linked deeper isn't followed.
        pictures = sorted(child.rglob("*")) if child.is_dir() else [child]
        found += [(child.name if child.is_dir() else path.stem, path) for path in pictures
                  if path.suffix.lower() in SUFFIXES and path.is_file()]
    if not 1 <= len(found) <= PICTURES_MAX:
        raise ConfigError(f"{folder} holds {len(found)} pictures; 1 to {PICTURES_MAX} are needed")
    return found


def _probe(engine: FaceEngine, path: Path) -> Probe | ProbeFault:
    try:
        return engine.probe([path.read_bytes()])
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except ImageError as error:
        raise ConfigError(f"{path}: {error}") from error
