#!/usr/bin/env python3
"""Check a receipt file of a Kanhe node, with nothing but Python and the package `cryptography`.

    python verify_receipt.py FILE|- [--key HEX] [--witness HEX]

Prints what was checked; exit 0 if everything holds, 1 if not, 2 if it isn't a receipt file.
`--key` is the node's public key, `--witness` the central platform's (its /v1/witness): without
them the receipt is checked against the keys that it names itself. See docs/receipts.md.
"""

import argparse
import base64
import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

NODE, WITNESS = b"kanhe/journal/checkpoint/1\0", b"kanhe/journal/witness/1\0"


def sha256(*parts: bytes) -> bytes:
    """Hash some bytes, one after the other."""
    return hashlib.sha256(b"".join(parts)).digest()


def root_of(index: int, size: int, leaf: bytes, path: Sequence[bytes]) -> bytes | None:
    """Follow an audit path (RFC 9162, section 2.1.3.2); None if it doesn't fit the tree."""
    if not 0 <= index < size:
        return None
    place, last, node = index, size - 1, leaf
    for item in path:
        if last == 0:
            return None
        if place & 1 or place == last:
            node = sha256(b"\1", item, node)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            node = sha256(b"\1", node, item)
        place, last = place >> 1, last >> 1
    return node if last == 0 else None


def is_signed(said: dict[str, Any], context: bytes) -> bool:
    """Check a statement's signature by the key that it names."""
    covered = (context + said["log"].encode() + said["size"].to_bytes(8, "big")
               + bytes.fromhex(said["root"]) + said["at_ms"].to_bytes(8, "big"))
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(said["public"])).verify(
            bytes.fromhex(said["signature"]), covered)
    except InvalidSignature:
        return False
    return True


def checks_of(receipt: dict[str, Any], key: str, witness: str) -> Iterator[tuple[str, bool]]:
    """Give (what is checked, whether it holds), one by one."""
    head, said = receipt["checkpoint"], receipt.get("countersignature")
    leaf = bytes.fromhex(receipt["leaf"])
    path = [bytes.fromhex(item) for item in receipt["proof"]]
    yield "the file is a receipt", receipt["format"] == "kanhe-receipt/1"
    if receipt.get("record") is not None:
        record = base64.b64decode(receipt["record"], validate=True)
        yield "the record is the one that the leaf is the hash of", sha256(b"\0", record) == leaf
    yield ("the proof leads from the record to the checkpoint's root",
           all(len(item) == 32 for item in (leaf, *path))
           and root_of(receipt["index"], head["size"], leaf, path) == bytes.fromhex(head["root"]))
    yield ("the checkpoint is of this log, which its key names",
           receipt["log"] == head["log"] == sha256(bytes.fromhex(head["public"])).hex()[:32])
    yield "the node signed the checkpoint", is_signed(head, NODE)
    if key:
        yield "the node's key is the one given", head["public"] == key
    if said is None:
        if witness:
            yield "the central platform counter-signed this checkpoint", False
        return
    same = all(said[name] == head[name] for name in ("log", "size", "root"))
    yield "the central platform counter-signed this checkpoint", same and is_signed(said, WITNESS)
    if witness:
        yield "the platform's key is the one given", said["public"] == witness


def main() -> int:
    """Check one file."""
    parser = argparse.ArgumentParser(description="Check a receipt file of a Kanhe node.")
    parser.add_argument("file", help="the receipt file, - for standard input")
    parser.add_argument("--key", default="", help="the node's public key, hex")
    parser.add_argument("--witness", default="", help="the platform's public key, hex")
    args = parser.parse_args()
    try:
        data = sys.stdin.buffer.read() if args.file == "-" else Path(args.file).read_bytes()
        receipt = json.loads(data)
        checks = list(checks_of(receipt, args.key.lower(), args.witness.lower()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        print(f"not a receipt file: {error!r}", file=sys.stderr)
        return 2
    for what, holds in checks:
        print("holds " if holds else "FAILS ", what)
    if receipt.get("countersignature") is None:
        print("note   the central platform hasn't counter-signed it: only the node's word")
    return 0 if all(holds for _, holds in checks) else 1


if __name__ == "__main__":
    sys.exit(main())
