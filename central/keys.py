"""The platform's key files: made at first start, readable by their owner only.

- `platform.key` seals what the database holds; `root.key`, `changes.key`, `keys.key`,
  `snapshot.key`, `timestamp.key` sign the feed (the root's can be kept elsewhere); `witness.key`
  counter-signs journals; `cards.key` and `status.key` sign cards and status lists; `admin.token`
  is the first administrator's.
- No key is in a repr, a log or an error.
"""

import hmac
import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from edge.errors import KeyFileError

SECRET_BYTES = 32
ROLES = ("root", "changes", "keys", "snapshot", "timestamp", "cards", "status")


class PlatformKeys:
    """All keys of one platform."""

    def __init__(self, folder: Path) -> None:
        """Load the key files, making those that are missing.

        Raises:
            KeyFileError: One is damaged or can't be read or made.
        """
        self._secret = _load(folder / "platform.key")
        self._aead = AESGCM(self._secret)
        self.signing = {
            role: Ed25519PrivateKey.from_private_bytes(_load(folder / f"{role}.key"))
            for role in ROLES
        }
        self.witness = Ed25519PrivateKey.from_private_bytes(_load(folder / "witness.key"))
        self.admin_token_path = folder / "admin.token"
        self.admin_token = _load(self.admin_token_path).hex()

    def seal(self, place: str, value: bytes) -> bytes:
        """Seal a value for its place in the database."""
        nonce = os.urandom(12)
        return nonce + self._aead.encrypt(nonce, value, place.encode())

    def open(self, place: str, sealed: bytes) -> bytes:
        """Open a value of a place.

        Raises:
            KeyFileError: It was altered, moved, or sealed under another key.
        """
        try:
            return self._aead.decrypt(sealed[:12], sealed[12:], place.encode())
        except (InvalidTag, ValueError) as error:
            raise KeyFileError(
                "the database holds values sealed under another platform.key: restore that file"
            ) from error

    def derive(self, purpose: bytes) -> bytes:
        """Give the 32-byte key of one purpose."""
        return HKDF(
            algorithm=hashes.SHA256(), length=32, salt=None, info=b"kanhe/platform/1/" + purpose
        ).derive(self._secret)

    def digest(self, kind: str, value: str) -> bytes:
        """Give the keyed hash by which a value is found without being kept."""
        return hmac.digest(self._secret, f"{kind}\0{value}".encode(), "sha256")

    @property
    def witness_public(self) -> str:
        """The public key that counter-signs journals, hex."""
        return self.witness.public_key().public_bytes_raw().hex()

    def __repr__(self) -> str:
        """Show no key."""
        return "PlatformKeys(…)"


def _load(path: Path) -> bytes:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(fd, "w") as file:
                file.write(secrets.token_hex(SECRET_BYTES))
                file.flush()
                os.fsync(file.fileno())
        if path.stat().st_mode & 0o077:
            raise KeyFileError(f"{path} can be read by others: chmod 600 {path}")
        secret = bytes.fromhex(path.read_text("ascii").strip())
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror}") from error
    except ValueError:
        raise KeyFileError(f"{path} is damaged: restore it from a backup") from None
    if len(secret) != SECRET_BYTES:
        raise KeyFileError(f"{path} is damaged: restore it from a backup")
    return secret
