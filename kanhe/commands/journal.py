"""`kanhe journal`: is a journal whole and signed, is an answer's receipt in it, and its proof."""

import argparse
import sys
from pathlib import Path

import msgspec

from edge.audit.prove import prove_record
from edge.audit.verify import JournalReport, verify_journal
from edge.errors import ConfigError, JournalError
from edge.hotpath.receipt import RECEIPT_BYTES_MAX, ReceiptFile, check_receipt
from edge.protocol.journal import Receipt

KEY_CHARS = 64


class _Answer(msgspec.Struct, frozen=True):
    """A node's answer, of which only the receipt is looked at."""

    receipt: Receipt


class ReceiptReport(msgspec.Struct, frozen=True, kw_only=True):
    """What `verify --receipt` prints.

    Attributes:
        holds: Whether the journal is whole and the receipt stands in it.
        journal: The check of the whole folder.
        proof: The receipt's proof, None where there is none.
        problems: What doesn't hold.
    """

    holds: bool
    journal: JournalReport
    proof: ReceiptFile | None
    problems: list[str]


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `journal verify`, `prove` and `check`."""
    parser = subparsers.add_parser("journal", help="check a node's journal and its receipts")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    verify = actions.add_parser("verify", help="whole, unbroken and signed? one JSON line")
    verify.add_argument("folder", type=Path, metavar="DIR")
    verify.add_argument("--receipt", default="", metavar="FILE|-",
                        help="an answer, or its receipt: is it in this journal? prints the proof")
    verify.set_defaults(run=run_verify)
    prove = actions.add_parser("prove", help="print the receipt file of one record")
    prove.add_argument("folder", type=Path, metavar="DIR")
    prove.add_argument("--index", type=int, required=True, metavar="N", help="the record's index")
    prove.add_argument("--record", action="store_true",
                       help="with the record itself (ids and evidence), not only its hash")
    prove.set_defaults(run=run_prove)
    check = actions.add_parser("check", help="check a receipt file; needs no journal")
    check.add_argument("file", metavar="FILE|-")
    check.set_defaults(run=run_check)
    for action in (verify, check):
        action.add_argument("--key", default="", metavar="HEX",
                            help="the node's public signing key, if it must be this one's")
        action.add_argument("--witness", default="", metavar="HEX",
                            help="the central platform's key (its /v1/witness); then the "
                                 "checkpoint must be counter-signed")


def run_verify(args: argparse.Namespace) -> int:
    """Verify one folder, and a receipt against it; exit 1 if anything isn't as it must be."""
    key, witness = _key(args.key, "--key"), _key(args.witness, "--witness")
    report = verify_journal(args.folder, bytes.fromhex(key) if key else None, witness)
    if not args.receipt:
        _print(report)
        return 0 if report.whole else 1
    receipt = _receipt(_read(args.receipt))
    problems, proof = list(report.problems), None
    try:
        proof = prove_record(args.folder, receipt.index)
    except JournalError as error:
        problems.append(str(error))
    else:
        if (proof.log, proof.leaf) != (receipt.log, receipt.leaf):
            problems.append(f"record {receipt.index} of this journal isn't the receipt's")
        problems += check_receipt(proof, key=key, witness=witness)
    _print(ReceiptReport(
        holds=not problems, journal=report, proof=proof, problems=problems))
    return 0 if not problems else 1


def run_prove(args: argparse.Namespace) -> int:
    """Print the receipt file of one record."""
    _print(prove_record(args.folder, args.index, with_record=args.record))
    return 0


def run_check(args: argparse.Namespace) -> int:
    """Check a receipt file by itself; exit 1 if it doesn't hold."""
    key, witness = _key(args.key, "--key"), _key(args.witness, "--witness")
    try:
        receipt = msgspec.json.decode(_read(args.file), type=ReceiptFile)
    except msgspec.MsgspecError as error:
        raise ConfigError(f"{args.file} isn't a receipt file: {error}") from error
    problems = check_receipt(receipt, key=key, witness=witness)
    _print({"holds": not problems, "countersigned": receipt.countersignature is not None,
            "problems": problems})
    return 0 if not problems else 1


def _receipt(data: bytes) -> Receipt:
    """Take the receipt out of an answer, or as it is."""
    try:
        return msgspec.json.decode(data, type=_Answer).receipt
    except msgspec.MsgspecError:
        pass
    try:
        return msgspec.json.decode(data, type=Receipt)
    except msgspec.MsgspecError as error:
        raise ConfigError(
            "--receipt takes a node's answer, or {log, index, leaf} of it, as JSON") from error


def _read(name: str) -> bytes:
    try:
        data = sys.stdin.buffer.read(RECEIPT_BYTES_MAX + 1) if name == "-" else (
            Path(name).read_bytes())
    except OSError as error:
        raise ConfigError(f"{name}: {error.strerror}") from error
    if len(data) > RECEIPT_BYTES_MAX:
        raise ConfigError(f"{name} is larger than a receipt is ({RECEIPT_BYTES_MAX} bytes)")
    return data


def _key(text: str, name: str) -> str:
    try:
        if text and len(bytes.fromhex(text)) * 2 != KEY_CHARS:
            raise ValueError
    except ValueError:
        raise ConfigError(f"{name} takes {KEY_CHARS} hex characters") from None
    return text.lower()


def _print(value: object) -> None:
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
