"""Receipt files: a record's place in a signed log, checkable without anything else; pure.

- A file holds the leaf (perhaps the record itself), its audit path, the node's checkpoint and the
  platform's counter-signature. The form is in `docs/receipts.md`.
- `check_receipt` says everything that doesn't hold, so that whoever checks sees all of it.
"""

from typing import Literal

import msgspec

from edge.hotpath.checkpoint import (
    CONTEXT,
    Checkpoint,
    Countersignature,
    Statement,
    check_countersignature,
    check_statement,
    log_id,
)
from edge.hotpath.merkle import hash_leaf, included

RECEIPT_BYTES_MAX = 64 * 1024
PROOF_MAX = 64


class SignedHead(Statement, frozen=True, kw_only=True):
    """A checkpoint as a receipt carries it: without its frontier."""


class ReceiptFile(msgspec.Struct, frozen=True, kw_only=True):
    """One record's receipt. Hashes are hex, `record` is base64 in JSON.

    Attributes:
        record: The record's exact bytes; None where only its hash is given away.
        countersignature: None where the platform hasn't signed yet.
    """

    format: Literal["kanhe-receipt/1"] = "kanhe-receipt/1"
    log: str
    index: int
    leaf: str
    proof: tuple[str, ...]
    checkpoint: SignedHead
    countersignature: Countersignature | None
    record: bytes | None = None


def bare(point: Checkpoint) -> SignedHead:
    """Give a checkpoint without its frontier, which a proof doesn't need."""
    return SignedHead(
        log=point.log, size=point.size, root=point.root, at_ms=point.at_ms, public=point.public,
        signature=point.signature)


def check_receipt(receipt: ReceiptFile, *, key: str = "", witness: str = "") -> list[str]:
    """Check a receipt file.

    Args:
        receipt: The file.
        key: The node's public key as hex, if it must be this one's.
        witness: The platform's public key as hex, if it must be this one's.

    Returns:
        What doesn't hold, in words; empty if everything does.
    """
    head, said, problems = receipt.checkpoint, receipt.countersignature, []
    try:
        leaf = bytes.fromhex(receipt.leaf)
        if receipt.record is not None and hash_leaf(receipt.record) != leaf:
            problems.append("the record isn't the one that the leaf is the hash of")
        path = [bytes.fromhex(item) for item in receipt.proof[:PROOF_MAX + 1]]
        if not included(receipt.index, head.size, leaf, path, bytes.fromhex(head.root)):
            problems.append("the proof doesn't lead from the record to the checkpoint's root")
        if receipt.log != head.log or log_id(bytes.fromhex(head.public)) != head.log:
            problems.append("the checkpoint is of another log")
    except ValueError:
        problems.append("a hash or key isn't hex")
    try:
        check_statement(head, CONTEXT, "the checkpoint")
    except ValueError as error:
        problems.append(str(error))
    if key and head.public != key:
        problems.append("the checkpoint is by another key than the node's")
    if said is None:
        if witness:
            problems.append("the central platform hasn't counter-signed the checkpoint")
        return problems
    try:
        check_countersignature(said, head, witness or said.public)
    except ValueError as error:
        problems.append(str(error))
    return problems
