"""Signed checkpoints: what the journal was at a size, said by the node's key.

- One JSON line each in `checkpoints.jsonl`, appended and flushed; a torn last line is
  ignored.
- The signature covers log, size, root and time under a context of its own; the frontier
  stands beside them and must give the root.
- The log's id is the hash of the signing key, so a checkpoint can't be signed by another.
"""

import hashlib
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from edge.errors import JournalError
from edge.hotpath.merkle import Frontier

CONTEXT = b"kanhe/journal/checkpoint/1\x00"
FILE = "checkpoints.jsonl"
LINES_MAX = 1_000_000


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One signed statement. Hashes, key and signature are hex."""

    log: str
    size: int
    root: str
    at_ms: int
    frontier: tuple[str, ...]
    public: str
    signature: str

    def signed_bytes(self) -> bytes:
        """Give what the signature covers."""
        return (
            CONTEXT + self.log.encode() + self.size.to_bytes(8, "big")
            + bytes.fromhex(self.root) + self.at_ms.to_bytes(8, "big")
        )

    def tree(self) -> Frontier:
        """Give the frontier to go on from."""
        return Frontier(self.size, (bytes.fromhex(item) for item in self.frontier))


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
    return msgspec.structs.replace(bare, signature=key.sign(bare.signed_bytes()).hex())


def check_checkpoint(checkpoint: Checkpoint, log: str) -> None:
    """Check log, key, frontier and signature of one checkpoint.

    Raises:
        JournalError: One of them doesn't hold.
    """
    try:
        public = bytes.fromhex(checkpoint.public)
        Ed25519PublicKey.from_public_bytes(public).verify(
            bytes.fromhex(checkpoint.signature), checkpoint.signed_bytes()
        )
        root = checkpoint.tree().root().hex()
    except (InvalidSignature, ValueError) as error:
        raise JournalError(f"the checkpoint at size {checkpoint.size} isn't signed") from error
    if checkpoint.log != log or log_id(public) != log:
        raise JournalError(f"the checkpoint at size {checkpoint.size} is of another log")
    if root != checkpoint.root:
        raise JournalError(f"the checkpoint at size {checkpoint.size} contradicts itself")


def read_checkpoints(folder: Path) -> list[Checkpoint]:
    """Read all checkpoints; a torn last line is left out.

    Raises:
        JournalError: A line before the last can't be read.
    """
    path = folder / FILE
    if not path.exists():
        return []
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise JournalError(f"{path}: {error.strerror}") from error
    found: list[Checkpoint] = []
    for number, line in enumerate(lines[:LINES_MAX], 1):
        if not line:
            continue
        try:
            found.append(msgspec.json.decode(line, type=Checkpoint))
        except msgspec.MsgspecError as error:
            if number == len(lines):
                break
            raise JournalError(f"{path}, line {number}, can't be read") from error
    return found
