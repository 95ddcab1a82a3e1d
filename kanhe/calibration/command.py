"""`kanhe models calibrate`: a pack's error rates on a site's own images."""

import argparse
import os
import sys
import time
from pathlib import Path

import msgspec
import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.config import load_config
from edge.errors import ConfigError
from edge.models.convert import PACK_ID
from edge.models.engine import FaceEngine
from edge.models.operating import SiteCalibration, write_site_calibration
from edge.models.shelf import find_pack
from edge.node_key import load_or_create_node_key
from kanhe.calibration.gather import find_people, judge_images, read_groups, read_pairs
from kanhe.calibration.measure import Measurer
from kanhe.calibration.report import render_report
from kanhe.calibration.score import score_images
from kanhe.packs import open_pack
from kanhe.progress import show_progress

REPORT_FILE = "calibration.html"


def add_calibrate(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the action."""
    parser = actions.add_parser(
        "calibrate", help="measure FMR and FNMR on your own images, fit operating points")
    parser.add_argument("dir", type=Path, metavar="DIR",
                        help="one folder a person; with --pairs, the folder that paths begin in")
    parser.add_argument("--pairs", type=Path, metavar="CSV", help="rows a,b,same instead")
    parser.add_argument("--groups", type=Path, metavar="CSV",
                        help="rows name,group: a person's folder, or an image of the pairs")
    parser.add_argument("--pack", metavar="P", help="default: the configuration's, else dlib-v1")
    parser.add_argument("--config", type=Path, metavar="FILE",
                        help="the node's: its key signs the points, and it then uses them")
    parser.add_argument("--out", type=Path, default=Path(), metavar="DIR",
                        help="where the report goes (and unsigned points)")
    parser.set_defaults(run=run_calibrate)


def run_calibrate(args: argparse.Namespace) -> int:
    """Measure, write points and report, print a summary."""
    engine, folder, key = _open(args)
    images = read_pairs(args.pairs) if args.pairs else find_people(args.dir)
    groups = read_groups(args.groups, images) if args.groups else {}
    judged = judge_images(images, args.dir, engine.probe, show_progress)
    scored = score_images(images, judged)
    measured = Measurer(images, judged, scored).measure(groups)
    site = SiteCalibration(
        pack=engine.pack_id, measured_s=int(time.time()), persons=len(images.labels),
        images=len(images.names), failures=len(judged.faults), genuine=len(scored.genuine),
        impostor=scored.impostor_total, points=measured.points,
    )
    report = args.out / REPORT_FILE
    page = render_report(
        engine.manifest, site, images, judged, scored, measured, signed=key is not None)
    try:
        args.out.mkdir(parents=True, exist_ok=True)
        report.write_text(page, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{report} can't be written: {error.strerror}") from error
    # A set that bears no threshold must not replace points that were measured before.
    points = write_site_calibration(folder, site, key) if site.points else None
    line = msgspec.to_builtins(site) | {
        "fta": round(site.failures / site.images, 4), "eer": measured.eer,
        "unborne": measured.unborne, "groups": msgspec.to_builtins(measured.groups, str_keys=True),
        "signed": key is not None, "operating_points": str(points) if points else None,
        "report": str(report),
    }
    sys.stdout.buffer.write(orjson.dumps(line) + b"\n")
    for fmr in measured.unborne:
        print(f"kanhe: no threshold for FMR {fmr:g}: {site.impostor} impostor comparisons are too "
              "few", file=sys.stderr)
    return 0


def _open(args: argparse.Namespace) -> tuple[FaceEngine, Path, Ed25519PrivateKey | None]:
    """Give the pack, where its points go, and who signs them."""
    if args.config is None:
        return open_pack(args.pack or PACK_ID), args.out, None
    config = load_config(args.config, os.environ)
    folder = find_pack(config.packs_folder, args.pack or config.face_pack)
    key = load_or_create_node_key(config.data_dir / "node.key")
    return FaceEngine(folder), folder, key.signing
