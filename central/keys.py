"""The platform's key files: made at first start, readable by their owner only.

- `platform.key` seals what the database holds; `root.key`, `changes.key`, `keys.key`,
  `snapshot.key`, `timestamp.key` sign the feed (the root's can be kept elsewhere); `witness.key`
  counter-signs journals; `cards.key` and `status.key` sign cards and status lists; `admin.token`
  is the first administrator's.
- A role's further keys are `ROLE-N.key`, made for version N of the root. Which of them signs is
  what the root says, so replacing the root's envelope is what changes all at once.
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
from edge.protocol.feed import Root, key_id

SECRET_BYTES = 32
ROLES = ("changes", "keys", "snapshot", "timestamp", "cards", "status")
"""Roles whose keys the platform signs with day by day: all but the root's."""


class PlatformKeys:
    """All keys of one platform."""

    def __init__(self, folder: Path) -> None:
        """Load the key files, making those that are missing.

        Raises:
            KeyFileError: One is damaged or can't be read or made.
        """
        self._folder = folder
        self._secret = _load(folder / "platform.key")
        self._aead = AESGCM(self._secret)
        self._held = {role: _of_role(folder, role) for role in ROLES}
        self.signing = {role: load_signing_key(paths[0]) for role, paths in self._held.items()}
        self.witness = load_signing_key(folder / "witness.key")
        self.admin_token_path = folder / "admin.token"
        self.admin_token = _load(self.admin_token_path).hex()

    @property
    def root_path(self) -> Path:
        """Where the root's first key is, unless it was taken elsewhere."""
        return self._folder / "root.key"

    def believe(self, root: Root) -> None:
        """Sign with the keys that a root names from now on.

        Raises:
            KeyFileError: None of a role's key files is the one that it names.
        """
        for role, named in root.roles.items():
            if role not in self._held:
                continue
            for path in self._held[role]:
                key = load_signing_key(path)
                if key_id(public_of(key)) in named.key_ids:
                    self.signing[role] = key
                    break
            else:
                raise KeyFileError(
                    f"{self._folder} holds no key of '{role}' that version {root.version} of the "
                    "root names: copy or restore the whole folder")

    def make(self, role: str, version: int) -> Ed25519PrivateKey:
        """Make the key of a role for a version of the root; one made before is taken up."""
        path = self._folder / f"{role}-{version}.key"
        key = load_signing_key(path)
        if path not in self._held[role]:
            self._held[role].append(path)
        return key

    def forget(self, root: Root) -> list[str]:
        """Remove what a root no longer names; give the files' names."""
        gone = []
        for role in self._held.keys() & root.roles.keys():
            for path in list(self._held[role]):
                if key_id(public_of(load_signing_key(path))) not in root.roles[role].key_ids:
                    path.unlink()
                    self._held[role].remove(path)
                    gone.append(path.name)
        return sorted(gone)

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


def load_signing_key(path: Path) -> Ed25519PrivateKey:
    """Load the key of a file, making it if there is none.

    Raises:
        KeyFileError: It is damaged, readable by others, or can't be read or made.
    """
    return Ed25519PrivateKey.from_private_bytes(_load(path))


def public_of(key: Ed25519PrivateKey) -> bytes:
    """Give a key's public half, 32 bytes."""
    return key.public_key().public_bytes_raw()


def _of_role(folder: Path, role: str) -> list[Path]:
    """Find the key files of a role, oldest first; the first is made when it is loaded."""
    later = sorted(folder.glob(f"{role}-[0-9]*.key"),
                   key=lambda path: int(path.stem.rpartition("-")[2]))
    first = folder / f"{role}.key"
    return [first, *later] if first.exists() or not later else later


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
