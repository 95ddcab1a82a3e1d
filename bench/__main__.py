"""Run benchmarks: `python -m bench [--small] [--pack DIR] [NAME…]`, one JSON line each.

- Without names: every measure, in the order of their names.
- Exit code 1 if a measure raised; a measure whose conditions weren't met is
  printed with `valid: false` and isn't an error.
"""

import argparse
import importlib
import pkgutil
import sys
import traceback
from functools import partial
from pathlib import Path
from types import ModuleType

import msgspec

import bench


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


def main() -> int:
    """Run the measures asked for."""
    parser = argparse.ArgumentParser(prog="bench")
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--small", action="store_true", help="smallest size that still runs")
    parser.add_argument("--pack", type=Path, metavar="DIR",
                        help="measure this face pack, where a measure can")
    parser.add_argument("--list", action="store_true", help="only print the names")
    args = parser.parse_args()
    known = measures()
    unknown = [name for name in args.names if name not in known]
    if unknown:
        parser.error(f"unknown measure {', '.join(unknown)}; known: {', '.join(known)}")
    if args.list:
        print("\n".join(known))
        return 0
    failed = 0
    for name in args.names or known:
        print(f"bench: {name} …", file=sys.stderr, flush=True)
        try:
            run = known[name].run
            if args.pack and hasattr(known[name], "run_pack"):
                run = partial(known[name].run_pack, folder=args.pack)
            result = run(small=args.small)
        except Exception:
            failed += 1
            traceback.print_exc()
            continue
        print(msgspec.json.encode(result).decode(), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
