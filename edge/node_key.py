"""The node's one secret file, and the keys that are derived from it.

- 32 random bytes in a file only its owner may read; made once, atomically.
- Everything else is derived by HKDF with its own info: the store's key, the journal's
  signing key, the keys that epochs are sealed to.
- No key is in a repr, a log or an error.
"""

import os
import secrets
import stat
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from edge.errors import KeyFileError
from edge.hotpath.node_seal import NodeSeal

SECRET_BYTES = 32


class NodeKey:
    """Derives the node's keys.

    Attributes:
        signing: Ed25519, signs the journal's checkpoints.
        sealing: X25519, and ML-KEM-768 beside it; key epochs are sealed to its public half.
    """

    def __init__(self, secret: bytes) -> None:
        """Derive from the secret of the file."""
        self._secret = secret
        self.signing = Ed25519PrivateKey.from_private_bytes(self.derive(b"journal-signing"))
        self.sealing = NodeSeal.derived(
            self.derive(b"epoch-sealing"), self._derive(b"epoch-sealing/ml-kem", 64),
            self.derive(b"epoch-sealing/x25519"))

    def derive(self, purpose: bytes) -> bytes:
        """Give the 32-byte key of one purpose."""
        return self._derive(purpose, 32)

    def _derive(self, purpose: bytes, length: int) -> bytes:
        return HKDF(
            algorithm=hashes.SHA256(), length=length, salt=None, info=b"kanhe/node/1/" + purpose
        ).derive(self._secret)

    @property
    def sign_public(self) -> bytes:
        """Ed25519 public key, 32 bytes."""
        return self.signing.public_key().public_bytes_raw()

    @property
    def seal_public(self) -> bytes:
        """What epochs are sealed to: ML-KEM-768 ‖ X25519, 1,216 bytes, or X25519 alone, 32."""
        return self.sealing.public

    def __repr__(self) -> str:
        """Show no key."""
        return "NodeKey(…)"


def load_or_create_node_key(path: Path) -> NodeKey:
    """Read the key file, making it if there is none.

    Raises:
        KeyFileError: It is damaged, open to others, or can't be read or made.
    """
    if not path.exists():
        create_secret(path)
    return NodeKey(read_secret(
        path, "restore it from a backup, or move the data folder away and enrol the node anew"))


def read_secret(path: Path, mend: str) -> bytes:
    """Read the 32 bytes of a key file; `mend` says what to do about a damaged one.

    Raises:
        KeyFileError: It is damaged, open to others, or can't be read.
    """
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            raise KeyFileError(f"{path} can be read by others (mode {mode:o}): chmod 600 {path}")
        secret = path.read_bytes()
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror}") from error
    if len(secret) != SECRET_BYTES:
        raise KeyFileError(
            f"{path} is damaged ({len(secret)} bytes instead of {SECRET_BYTES}): {mend}")
    return secret


def create_secret(path: Path) -> None:
    """Make a key file that only its owner may read; one that is there stays as it is.

    Raises:
        KeyFileError: It can't be made.
    """
    try:
        _create(path)
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror}") from error


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(fd, secrets.token_bytes(SECRET_BYTES))
        os.fsync(fd)
    finally:
        os.close(fd)
    # A link fails where another process was faster; its key is then the one to use.
    try:
        os.link(part, path)
    except FileExistsError:
        pass
    finally:
        part.unlink(missing_ok=True)
