"""Checkpoints and counter-signatures: what two keys say a log was at a size; pure.

- A checkpoint is the node's word, a counter-signature the central platform's: it holds these very
  records, and they go on from whatever it counter-signed before.
- Each signature covers log, size, root and a time under a context of its own.
- The log's id is the hash of the node's key, so a checkpoint can't be signed by another.
- What doesn't hold is a ValueError with words; nothing here reads files or clocks.
"""

import hashlib

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from edge.hotpath.merkle import Frontier

CONTEXT = b"kanhe/journal/checkpoint/1\x00"
WITNESS_CONTEXT = b"kanhe/journal/witness/1\x00"
CHECKPOINT_BYTES_MAX = 16 * 1024
"""Of one checkpoint's JSON; 64 subtrees of a frontier need a third of it."""


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """Log, size and root at a time, by a key. Hashes, key and signature are hex."""

    log: str
    size: int
    root: str
    at_ms: int
    public: str
    signature: str

    def covered(self, context: bytes) -> bytes:
        """Give what the signature covers."""
        return (
            context + self.log.encode() + self.size.to_bytes(8, "big")
            + bytes.fromhex(self.root) + self.at_ms.to_bytes(8, "big")
        )


class Checkpoint(Statement, frozen=True, kw_only=True):
    """The node's signed statement, and the frontier that gives its root."""

    frontier: tuple[str, ...]

    def tree(self) -> Frontier:
        """Give the frontier to go on from."""
        return Frontier(self.size, (bytes.fromhex(item) for item in self.frontier))


class Countersignature(Statement, frozen=True, kw_only=True):
    """The platform's signed statement; `at_ms` is when it signed."""


class CheckpointAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What the platform says to a checkpoint.

    Attributes:
        held: It holds every record before this index.
        countersignature: None if it refused: it holds too few records, or others.
    """

    held: int
    countersignature: Countersignature | None = None


def log_id(public: bytes) -> str:
    """Name the log of a signing key: 32 hex characters of its SHA-256."""
    return hashlib.sha256(public).hexdigest()[:32]


def sign_checkpoint(tree: Frontier, at_ms: int, key: Ed25519PrivateKey) -> Checkpoint:
    """Sign the tree as it is."""
    public = key.public_key().public_bytes_raw()
    bare = Checkpoint(
        log=log_id(public), size=tree.size, root=tree.root().hex(), at_ms=at_ms,
        frontier=tuple(item.hex() for item in tree.subtrees), public=public.hex(), signature="",
    )
    return msgspec.structs.replace(bare, signature=key.sign(bare.covered(CONTEXT)).hex())


def check_checkpoint(checkpoint: Checkpoint, log: str) -> None:
    """Check log, key, frontier and signature of one checkpoint.

    Raises:
        ValueError: One of them doesn't hold; says which.
    """
    at = f"the checkpoint at size {checkpoint.size}"
    check_statement(checkpoint, CONTEXT, at)
    try:
        root = checkpoint.tree().root().hex()
    except ValueError as error:
        raise ValueError(f"{at} contradicts itself") from error
    if checkpoint.log != log or log_id(bytes.fromhex(checkpoint.public)) != log:
        raise ValueError(f"{at} is of another log")
    if root != checkpoint.root:
        raise ValueError(f"{at} contradicts itself")


def countersign(checkpoint: Checkpoint, at_ms: int, key: Ed25519PrivateKey) -> Countersignature:
    """Say the same of the log by the platform's key."""
    bare = Countersignature(
        log=checkpoint.log, size=checkpoint.size, root=checkpoint.root, at_ms=at_ms,
        public=key.public_key().public_bytes_raw().hex(), signature="",
    )
    return msgspec.structs.replace(bare, signature=key.sign(bare.covered(WITNESS_CONTEXT)).hex())


def check_countersignature(
    said: Countersignature, checkpoint: Statement, public: str
) -> None:
    """Check that a counter-signature is of this checkpoint, by the key given as hex.

    Raises:
        ValueError: It isn't; says why.
    """
    at = f"the counter-signature at size {said.size}"
    if (said.log, said.size, said.root) != (checkpoint.log, checkpoint.size, checkpoint.root):
        raise ValueError(f"{at} is of another checkpoint")
    if said.public != public:
        raise ValueError(f"{at} is by another key than the one known as the platform's")
    check_statement(said, WITNESS_CONTEXT, at)


def check_statement(said: Statement, context: bytes, at: str) -> None:
    """Check a statement's signature under a context; `at` names it in words.

    Raises:
        ValueError: It isn't signed by the key it names.
    """
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(said.public)).verify(
            bytes.fromhex(said.signature), said.covered(context))
    except (InvalidSignature, ValueError, OverflowError) as error:
        raise ValueError(f"{at} isn't signed") from error
