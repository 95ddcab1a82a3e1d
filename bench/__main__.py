"""Run benchmarks: `python -m bench [--small] [--pack DIR] [NAME…]`, one JSON line each.

- Without names: every measure, in the order of their names.
- `--photos PATH`, with `--pack`: on photographs, where a measure can.
- `--write-docs` keeps the lines and renews tables and pictures of `docs/performance.md`; without
  names it puts the peers side by side as well.
- Exit code 1 if a measure raised, or, with `--small`, fell beyond its margin twice; a measure whose
  conditions weren't met is printed with `valid: false` and isn't an error.
"""

import argparse
import importlib
import pkgutil
import sys
import time
import traceback
from pathlib import Path
from types import ModuleType

import msgspec

import bench
from bench import harness_docs
from bench.harness import Result
from bench.harness_baseline import fallen, keep, load_baseline
from bench.harness_picture import draw
from bench.peers import measure_peers
from edge.errors import OperatingError


def measures() -> dict[str, ModuleType]:
    """Find the modules of this package that are measures, by name."""
    found = {}
    for info in pkgutil.iter_modules(bench.__path__):
        if info.name.startswith(("__", "harness")):
            continue
        module = importlib.import_module(f"bench.{info.name}")
        if hasattr(module, "NAME"):
            found[module.NAME] = module
    return dict(sorted(found.items()))


def _parse(known: dict[str, ModuleType]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench")
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--small", action="store_true",
                        help="smallest size that still runs, held against the kept ratios")
    parser.add_argument("--keep", action="store_true", help="keep the ratios of this small run")
    parser.add_argument("--picture", type=Path, metavar="SVG", help="draw the ratios")
    parser.add_argument("--write-docs", action="store_true",
                        help="keep the lines and renew docs/performance.md and its pictures")
    parser.add_argument("--pack", type=Path, metavar="DIR",
                        help="measure this face pack, where a measure can")
    parser.add_argument("--photos", type=Path, metavar="PATH",
                        help="with --pack: on these photographs (one folder a person, or loose; or "
                             "a CSV file of pairs)")
    parser.add_argument("--list", action="store_true", help="only print the names")
    args = parser.parse_args()
    unknown = [name for name in args.names if name not in known]
    if unknown:
        parser.error(f"unknown measure {', '.join(unknown)}; known: {', '.join(known)}")
    if args.keep and not args.small:
        parser.error("--keep is of small runs: add --small")
    if args.write_docs and args.pack:
        parser.error("--write-docs is of the pack that is shipped: leave --pack out")
    able = [name for name, module in known.items() if hasattr(module, "run_photos")]
    if args.photos and not (args.pack and args.names and set(args.names) <= set(able)):
        parser.error(f"--photos needs --pack, and is of {', '.join(able)}: name it")
    if args.photos and not args.photos.exists():
        parser.error(f"--photos {args.photos}: there is no such folder or file")
    return args


def main() -> int:
    """Run the measures asked for."""
    known = measures()
    args = _parse(known)
    if args.list:
        print("\n".join(known))
        return 0
    watch = harness_docs.Watch()
    results = [_run(known[name], small=args.small, pack=args.pack, photos=args.photos)
               for name in args.names or known]
    done = [result for result in results if result is not None]
    if args.picture:
        args.picture.parent.mkdir(parents=True, exist_ok=True)
        args.picture.write_text(draw(done), "utf-8")
    if args.write_docs:
        rows = [] if args.names else measure_peers(small=args.small)
        harness_docs.keep(done, rows, watch.run(small=args.small))
    if args.keep:
        keep(done)
        return 0
    bad = _fallen(known, done) if args.small and not args.pack else []
    for words in bad:
        print(f"bench: {words}", file=sys.stderr)
    return 1 if bad or len(done) < len(results) else 0


def _run(
    module: ModuleType, *, small: bool, pack: Path | None = None, photos: Path | None = None
) -> Result | None:
    """Run one measure and print its line; None if it raised."""
    print(f"bench: {module.NAME} …", file=sys.stderr, flush=True)
    start = time.monotonic()
    try:
        result: Result = (
            module.run_photos(small=small, folder=pack, photos=photos) if photos
            else module.run_pack(small=small, folder=pack) if pack and hasattr(module, "run_pack")
            else module.run(small=small))
    except OperatingError as error:
        print(f"bench: {module.NAME}: {error}", file=sys.stderr)
        return None
    except Exception:
        traceback.print_exc()
        return None
    print(msgspec.json.encode(result).decode(), flush=True)
    print(f"bench: {module.NAME} took {time.monotonic() - start:.1f} s", file=sys.stderr)
    return result


def _fallen(known: dict[str, ModuleType], done: list[Result]) -> list[str]:
    """Give what fell beyond its margin, and did so again."""
    kept = load_baseline()
    bad = []
    for result in done:
        item = kept.get(result.measure)
        if item is None or not fallen(result, item):
            continue
        again = _run(known[result.measure], small=True)
        words = fallen(again, item) if again is not None else f"{result.measure} raised"
        if words:
            bad.append(words)
    return bad


if __name__ == "__main__":
    sys.exit(main())
