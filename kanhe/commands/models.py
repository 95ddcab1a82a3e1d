"""`kanhe models list`, `pull`, `verify`, `calibrate`: packs here or to be had, whole, measured."""

import argparse
import sys
import textwrap
from pathlib import Path

import msgspec
import orjson

from edge.errors import PackError
from edge.models.assemble import choose
from edge.models.catalogue import Entry, load_catalogue
from edge.models.convert import ensure_default_pack
from edge.models.forms import check_manifest
from edge.models.manifest import PackManifest, load_manifest, verify_files
from edge.models.shelf import find_pack, installed
from kanhe.calibration.command import add_calibrate
from kanhe.packs import packs_folder
from kanhe.progress import show_progress
from kanhe.pulling import pull

_MIB = 1 << 20
_WIDTH = 96


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `models list`, `models pull` and `models verify`."""
    parser = subparsers.add_parser("models", help="face packs")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="every pack: licence, notes, operating points")
    listing.set_defaults(run=run_list)
    pulling = actions.add_parser("pull", help="fetch a pack, after its licence is agreed to")
    pulling.add_argument("name", metavar="NAME")
    pulling.add_argument("--from", dest="source", metavar="FILE_OR_DIR_OR_URL",
                         help="local archive, file or folder, or a mirror's address")
    pulling.add_argument("--accept-licence", action="store_true", help="agree without being asked")
    pulling.add_argument("--sha256", default="", metavar="HEX", help="checksum of the archive")
    pulling.set_defaults(run=run_pull)
    verify = actions.add_parser("verify", help="hold every file of the packs against its hash")
    verify.add_argument("pack", nargs="?", metavar="PACK")
    verify.set_defaults(run=run_verify)
    for action in (listing, pulling, verify):
        action.add_argument("--packs", type=Path, metavar="DIR", help="folder of packs")
    add_calibrate(actions)


def run_list(args: argparse.Namespace) -> int:
    """Print what is installed and what may be pulled; the default pack is made if missing."""
    shelf = args.packs or packs_folder()
    if args.packs is None:
        ensure_default_pack(shelf, show_progress)
    here = installed(shelf)
    names = {item.id for item in here.values() if isinstance(item, PackManifest)}
    entries = [entry for entry in load_catalogue() if entry.id not in names]
    if sys.stdout.isatty():
        for folder, item in here.items():
            _show(folder.name, "installed", item)
        for entry in entries:
            _show(entry.id, "recommended" if entry.recommended else "to pull", entry)
        return 0
    for folder, item in here.items():
        line = {"installed": True, "folder": str(folder)}
        said = ({"id": folder.name, "fault": str(item)} if isinstance(item, PackError)
                else msgspec.to_builtins(item))
        sys.stdout.buffer.write(orjson.dumps({**line, **said}) + b"\n")
    for entry in entries:
        sys.stdout.buffer.write(
            orjson.dumps({"installed": False, **msgspec.to_builtins(entry)}) + b"\n")
    return 0


def run_pull(args: argparse.Namespace) -> int:
    """Fetch and install one pack."""
    folder = pull(args, args.packs or packs_folder(), load_catalogue())
    manifest = load_manifest(folder)
    sys.stdout.buffer.write(orjson.dumps({
        "pack": manifest.id, "folder": str(folder), "licence": manifest.licence.id,
        "notes": manifest.notes.en, "fit": bool(manifest.operating_points),
    }) + b"\n")
    return 0


def run_verify(args: argparse.Namespace) -> int:
    """Check one pack, or all that are installed; a damaged one is said and makes exit code 1."""
    shelf = args.packs or packs_folder()
    folders = [find_pack(shelf, args.pack)] if args.pack else list(installed(shelf))
    if not folders:
        raise PackError(f"there is no pack in {shelf}")
    whole = True
    for folder in folders:
        line: dict[str, object] = {"pack": folder.name, "whole": True}
        try:
            manifest = load_manifest(folder)
            line["pack"] = manifest.id
            check_manifest(manifest)
            verify_files(folder, manifest)
            embedder = choose(manifest, "embedder")
            line["embedder"] = embedder.name if embedder else None
        except PackError as error:
            whole = False
            line |= {"whole": False, "why": str(error)}
        sys.stdout.buffer.write(orjson.dumps(line) + b"\n")
    return 0 if whole else 1


def _show(name: str, state: str, item: PackManifest | Entry | PackError) -> None:
    """Print one pack for a person: a line of facts, then what it is good for and what not."""
    if isinstance(item, PackError):
        print(f"{name:<22}{'damaged':<13}{item}")
        return
    size = sum(file.bytes for file in item.files) / _MIB
    use = item.licence.title if item.licence.commercial else f"{item.licence.title} (!)"
    print(f"{name:<22}{state:<13}{f'{size:.0f} MiB' if size else '—':<10}{use}")
    # A Chinese character is as wide as two Latin ones.
    for words, width in ((item.notes.en, _WIDTH), (item.notes.zh, _WIDTH // 2)):
        print(textwrap.indent(textwrap.fill(words, width), "    "))
    if isinstance(item, PackManifest):
        points = ", ".join(f"FMR {point.fmr:g}: FNMR {point.fnmr:.1%}"
                           for point in item.operating_points)
        print(f"    {points or 'no operating points: unfit until calibrated'}")
