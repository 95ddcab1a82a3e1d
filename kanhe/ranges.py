"""Measures the calibration that is shipped: `python -m kanhe.ranges DIR [--out FILE]`.

- For whoever changes the graph of the default embedder or has better pictures: every face of
  every picture under DIR is cut, relit and run through the float32 network; of each tensor
  the lowest and the highest value are kept. The file is then committed.
- Works on the default pack of this machine, which is made if it isn't there.
"""

import argparse
import sys
from pathlib import Path

import msgspec

from edge.errors import OperatingError
from edge.models.calibration import GAMMAS, SHIPPED, measure_calibration
from edge.models.convert import EMBEDDER, SHA256, ensure_default_pack
from kanhe.packs import packs_folder
from kanhe.progress import show_progress

KINDS = (".jpg", ".jpeg", ".png", ".webp")
_MADE = ("python -m kanhe.ranges: lowest and highest value of every tensor over the faces of "
         "{title}, each cut as the default pack cuts it, at gamma {gammas}, with its mirror")


def main(arguments: list[str] | None = None) -> int:
    """Measure and write."""
    parser = argparse.ArgumentParser(prog="kanhe.ranges")
    parser.add_argument("folder", type=Path, metavar="DIR", help="pictures of faces, at any depth")
    parser.add_argument("--title", default="pictures", help="what they are, in words")
    parser.add_argument("--packs", type=Path, metavar="DIR", help="folder of packs")
    parser.add_argument("--out", type=Path, default=SHIPPED, metavar="FILE")
    args = parser.parse_args(arguments)
    paths = sorted(path for path in args.folder.rglob("*") if path.suffix.lower() in KINDS)
    try:
        folder = ensure_default_pack(args.packs or packs_folder(), show_progress)
        made = _MADE.format(title=args.title, gammas=", ".join(map(str, GAMMAS)))
        measured = measure_calibration(folder, SHA256[EMBEDDER], paths, made)
    except OperatingError as error:
        print(f"kanhe.ranges: {error}", file=sys.stderr)
        return 1
    lines = msgspec.json.format(msgspec.json.encode(measured), indent=1)
    args.out.write_bytes(lines + b"\n")
    print(f"{args.out}: {measured.chips} chips of {measured.pictures} pictures, "
          f"{len(measured.ranges)} tensors")
    return 0


if __name__ == "__main__":
    sys.exit(main())
