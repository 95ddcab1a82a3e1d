"""Prints what trying a configuration found."""

import sys
from collections.abc import Iterable

import msgspec
import orjson

from edge.preflight import Found


def show_findings(findings: Iterable[Found], config: msgspec.Struct) -> int:
    """Print findings on standard error, the configuration on standard output; give the exit code.

    The configuration is printed as it would be used, if nothing keeps the service from running.
    """
    errors = 0
    for found in findings:
        print(f"{found.kind}: {found.key}: {found.words}", file=sys.stderr)
        errors += found.kind == "error"
    if errors:
        return 1
    tree = msgspec.to_builtins(config, enc_hook=str)
    sys.stdout.buffer.write(orjson.dumps(tree, option=orjson.OPT_INDENT_2) + b"\n")
    return 0
