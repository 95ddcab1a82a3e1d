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


def build_parser(wanted: str = "") -> argparse.ArgumentParser:
    """Build the command tree: of one command if it is known, else of all.

    Only what is asked for is imported: it starts sooner, and a service sets the folder of compiled
    kernels before anything is imported that is compiled, which matters where its own folder can't
    be written.
    """
    parser = argparse.ArgumentParser(prog="kanhe", description="Verification edge node.")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    names = [info.name for info in pkgutil.iter_modules(commands.__path__)]
    for name in [wanted] if wanted in names else names:
        importlib.import_module(f"kanhe.commands.{name}").add_parser(subparsers)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    args = build_parser(arguments[0] if arguments else "").parse_args(arguments)
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
