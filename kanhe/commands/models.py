"""`kanhe models list`, `verify` and `calibrate`: which face packs are here, and are they whole."""

import argparse
import sys

import msgspec
import orjson

from edge.errors import PackError
from edge.models.convert import PACK_ID, ensure_default_pack
from edge.models.manifest import load_manifest, verify_files
from kanhe.calibration.command import add_calibrate
from kanhe.packs import packs_folder
from kanhe.progress import show_progress


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `models list` and `models verify`."""
    parser = subparsers.add_parser("models", help="face packs")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="every pack: licence, notes, operating points")
    listing.set_defaults(run=run_list)
    verify = actions.add_parser("verify", help="hold every file of a pack against its hash")
    verify.add_argument("pack", nargs="?", default=PACK_ID)
    verify.set_defaults(run=run_verify)
    add_calibrate(actions)


def run_list(_: argparse.Namespace) -> int:
    """Print one JSON line a pack; the default pack is made if it isn't there."""
    ensure_default_pack(packs_folder(), show_progress)
    for folder in sorted(packs_folder().iterdir()):
        if not (folder / "manifest.json").is_file():
            continue
        manifest = msgspec.to_builtins(load_manifest(folder))
        sys.stdout.buffer.write(orjson.dumps({"folder": str(folder), **manifest}) + b"\n")
    return 0


def run_verify(args: argparse.Namespace) -> int:
    """Check one pack; a damaged one is an error that names the file."""
    folder = packs_folder() / args.pack
    if not folder.is_dir():
        raise PackError(f"there is no pack {args.pack!r} in {packs_folder()}")
    manifest = load_manifest(folder)
    verify_files(folder, manifest)
    sys.stdout.buffer.write(orjson.dumps({"pack": manifest.id, "whole": True}) + b"\n")
    return 0
