"""`kanhe presentation check`: judge codes on standard input with given keys.

- Input is bytes; only the line feed ends a line, so a carriage return or a space
  belongs to the code. Bytes that aren't UTF-8 are malformed, like any other text.
- One JSON line an input line, written as soon as it is judged.
- Looks nothing up: no credential, status, replay or face.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

import msgspec
import orjson

from edge.errors import ConfigError
from edge.hotpath.keys import KeyRing
from edge.hotpath.presentation import (
    AuthenticPresentation,
    DriftWindow,
    check_presentation,
)
from edge.hotpath.reasons import Reason
from edge.hotpath.verdict import Verdict, verdict
from edge.protocol.records import EpochKeys

LINE_BYTES_MAX = 64 * 1024
"""A longer line is malformed; what follows of it is passed over."""


class _Epoch(msgspec.Struct):
    key_epoch: int
    master_hex: str
    hpke_private_hex: str


class _KeyFile(msgspec.Struct):
    key_epochs: list[_Epoch]


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `presentation check`."""
    parser = subparsers.add_parser("presentation", help="judge rotating codes")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    check = actions.add_parser(
        "check", help="codes on standard input, one JSON line each on standard output"
    )
    check.add_argument("--keys", required=True, type=Path, metavar="FILE",
                       help="JSON with key_epochs: key_epoch, master_hex, hpke_private_hex")
    check.add_argument("--at", default="", metavar="UNIX",
                       help="judge at this Unix time; '-': each line is UNIX<TAB>CODE")
    check.add_argument("--steps-back", type=int, default=1, metavar="N")
    check.add_argument("--steps-ahead", type=int, default=1, metavar="N")
    check.set_defaults(run=run_check)


def load_keys(path: Path) -> KeyRing:
    """Read a key file and derive its epochs.

    Raises:
        ConfigError: It can't be read or isn't of the form; no secret is in the message.
    """
    try:
        file = msgspec.json.decode(path.read_bytes(), type=_KeyFile)
        return KeyRing.derive(
            EpochKeys(
                key_epoch=epoch.key_epoch, master=bytes.fromhex(epoch.master_hex),
                seal_private=bytes.fromhex(epoch.hpke_private_hex),
            )
            for epoch in file.key_epochs
        )
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except (msgspec.MsgspecError, ValueError) as error:
        raise ConfigError(
            f"{path} isn't a key file: it needs key_epochs, each with key_epoch, master_hex and "
            "hpke_private_hex of 64 hex characters"
        ) from error


def run_check(args: argparse.Namespace) -> int:
    """Judge every line of standard input."""
    keys = load_keys(args.keys)
    window = DriftWindow(steps_back=args.steps_back, steps_ahead=args.steps_ahead)
    fixed: float | None = None
    if args.at not in ("", "-"):
        try:
            fixed = _unix(args.at.encode())
        except ValueError:
            print(f"kanhe: --at takes Unix seconds or '-', not {args.at!r}", file=sys.stderr)
            return 2
    out = sys.stdout.buffer
    for number, line in enumerate(read_lines(sys.stdin.buffer), 1):
        at = fixed if fixed is not None else time.time()
        code = line
        if args.at == "-":
            stamp, tab, code = line.partition(b"\t")
            try:
                if not tab:
                    raise ValueError
                at = _unix(stamp)
            except ValueError:
                print(f"kanhe: line {number} isn't UNIX<TAB>CODE", file=sys.stderr)
                return 1
        out.write(judge(code, at, keys, window) + b"\n")
        out.flush()
    return 0


def _unix(text: bytes) -> float:
    value = float(text)
    if not 0 <= value < 2**40:
        raise ValueError("out of range")
    return value


def read_lines(stream: BinaryIO) -> Iterable[bytes]:
    """Give the lines of a stream without their line feed; an over-long one is cut."""
    read: Callable[[int], bytes] = stream.readline
    while line := read(LINE_BYTES_MAX):
        if line.endswith(b"\n"):
            yield line[:-1]
            continue
        rest = line
        while rest and not rest.endswith(b"\n"):
            rest = read(LINE_BYTES_MAX)
        yield line


def judge(code: bytes, at: float, keys: KeyRing, window: DriftWindow) -> bytes:
    """Judge one code and give its JSON line."""
    try:
        found = check_presentation(code.decode(), at, keys, window)
    except UnicodeDecodeError:
        found = verdict(Reason.MALFORMED)
    if isinstance(found, Verdict):
        return orjson.dumps({"decision": found.decision, "reason": found.reason})
    assert isinstance(found, AuthenticPresentation)
    good = verdict(Reason.OK)
    return orjson.dumps({
        "decision": good.decision, "reason": good.reason,
        "credential_id": found.credential_id.hex(),
    })
