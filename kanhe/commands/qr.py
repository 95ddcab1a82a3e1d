"""`kanhe qr decode`: images in, one JSON line each out.

- Texts are exactly what the codes hold; contents that are no text come as hex.
- A file that is no image gets its line too, and the exit code says so at the end.
"""

import argparse
import sys
import time
from pathlib import Path

import orjson

from edge.capture.reader import FrameReader
from edge.capture.zbar_child import ZbarChild
from edge.errors import ImageError

BUDGET_S = 2.0
"""A person waits longer for a file than a gate for a frame."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `qr decode`."""
    parser = subparsers.add_parser("qr", help="read QR codes from images")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    decode = actions.add_parser("decode", help="print the texts of every image")
    decode.add_argument("files", nargs="+", metavar="FILE", type=Path)
    decode.add_argument("--budget-s", type=float, default=BUDGET_S, metavar="S",
                        help=f"seconds a picture may take (default {BUDGET_S:g})")
    decode.set_defaults(run=run_decode)


def run_decode(args: argparse.Namespace) -> int:
    """Read every file."""
    zbar = ZbarChild()
    if not zbar.warm():
        print("kanhe: libzbar0 isn't installed: the last rung of the ladder is off "
              "(apt-get install libzbar0)", file=sys.stderr)
    reader = FrameReader(zbar, budget_s=args.budget_s)
    failed = False
    try:
        for path in args.files:
            line, good = decode_file(path, reader)
            failed |= not good
            sys.stdout.buffer.write(orjson.dumps(line) + b"\n")
            sys.stdout.flush()
    finally:
        zbar.close()
    return 1 if failed else 0


def decode_file(path: Path, reader: FrameReader) -> tuple[dict[str, object], bool]:
    """Read one file; give its line and whether it was an image at all."""
    line: dict[str, object] = {"file": str(path), "texts": [], "ms": 0.0}
    start = time.perf_counter()
    try:
        reading = reader.read(path.read_bytes())
    except OSError as error:
        return line | {"why": f"can't be read: {error.strerror}"}, False
    except ImageError as error:
        return line | {"why": f"{error.kind}: {error}"}, False
    texts: list[object] = [*reading.texts, *({"hex": octets.hex()} for octets in reading.binaries)]
    line |= {"texts": texts, "ms": round((time.perf_counter() - start) * 1e3, 2)}
    if reading.found:
        line["rung"] = reading.rung
    else:
        line["why"] = reading.why
    return line, True
