"""`kanhe journal verify`: is a journal whole, unbroken and signed."""

import argparse
import sys
from pathlib import Path

import msgspec

from edge.audit.verify import verify_journal
from edge.errors import ConfigError


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `journal verify`."""
    parser = subparsers.add_parser("journal", help="check a node's journal")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    verify = actions.add_parser("verify", help="whole, unbroken and signed? one JSON line")
    verify.add_argument("folder", type=Path, metavar="DIR")
    verify.add_argument("--key", default="", metavar="HEX",
                        help="the node's public signing key, if the log must be this one's")
    verify.set_defaults(run=run_verify)


def run_verify(args: argparse.Namespace) -> int:
    """Verify one folder; exit 1 if anything isn't as it must be."""
    try:
        public = bytes.fromhex(args.key) if args.key else None
    except ValueError as error:
        raise ConfigError("--key takes 64 hex characters") from error
    report = verify_journal(args.folder, public)
    sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    return 0 if report.whole else 1
