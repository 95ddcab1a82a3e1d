"""The one program, `kanhe`: finds the command and runs it.

- Every command lives in a module of `kanhe.commands` with `add_parser(subparsers)`
  that sets `run` to a function `(args) -> int`.
- Exit code 0 is success, 2 wrong usage, 1 everything else; an operating error is
  one sentence on standard error, never a traceback.
"""

import argparse
import importlib
import pkgutil
import sys
from collections.abc import Sequence

from edge.errors import OperatingError
from kanhe import commands


def build_parser() -> argparse.ArgumentParser:
    """Build the whole command tree; heavy imports stay inside the commands."""
    parser = argparse.ArgumentParser(prog="kanhe", description="Verification edge node.")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for info in pkgutil.iter_modules(commands.__path__):
        importlib.import_module(f"kanhe.commands.{info.name}").add_parser(subparsers)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code."""
    args = build_parser().parse_args(argv)
    try:
        return int(args.run(args))
    except OperatingError as error:
        print(f"kanhe: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
