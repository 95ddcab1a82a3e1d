"""Keys of a key epoch: derived once, kept, and never shown.

- `master(e)` gives alias and token keys by HKDF (RFC 5869, empty salt) with the
  suite's hash; holder keys are derived from the token key, never stored.
- A `KeyRing` is immutable; a new epoch or a retired one makes a new ring.
- A kept cipher context belongs to one thread at a time: a judgement of one block
  never releases the interpreter lock, so kept contexts are shared safely.
- Nothing here prints, logs or compares a key.
"""

import hashlib
import hmac
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from edge.protocol.kh1 import (
    ALIAS_INFO,
    CARD_INFO,
    SUITE_COMPACT,
    SUITE_COMPACT_NATIONAL,
    TOKEN_INFO,
)
from edge.protocol.records import EpochKeys

MASTER_BYTES = 32
RING_DAYS_BACK = 1
RING_DAYS_AHEAD = 1

_SHA256_BLOCK_BYTES = 64
_INNER, _OUTER = (bytes(byte ^ pad for byte in range(256)) for pad in (0x36, 0x5C))
"""Each byte of a key with HMAC's inner and outer padding."""
Mac = Callable[[bytes, bytes], bytes]
Block = Callable[[bytes], bytes]


def mac_sha256(key: bytes, data: bytes) -> bytes:
    """Give HMAC-SHA-256 (RFC 2104), 32 bytes.

    The library's one call looks the algorithm up each time, which costs more than the two hashes.

    Raises:
        ValueError: The key has more than a block's 64 bytes.
    """
    if len(key) > _SHA256_BLOCK_BYTES:
        raise ValueError(f"a key has at most {_SHA256_BLOCK_BYTES} bytes")
    padded = key.ljust(_SHA256_BLOCK_BYTES, b"\0")
    inner = sha256(padded.translate(_INNER) + data).digest()
    return sha256(padded.translate(_OUTER) + inner).digest()


def _mac_sm3_openssl(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "sm3")


def _mac_sm3_portable(key: bytes, data: bytes) -> bytes:
    mac = HMAC(key, hashes.SM3())
    mac.update(data)
    return mac.finalize()


mac_sm3: Mac = (
    _mac_sm3_openssl if "sm3" in hashlib.algorithms_available else _mac_sm3_portable
)
"""HMAC-SM3 (GB/T 32905), 32 bytes; by the interpreter's OpenSSL where that has SM3."""


class CompactKeys:
    """The keys of one compact suite in one epoch.

    Attributes:
        mac: HMAC with the suite's hash.
        seal_alias, open_alias: One block, credential id to alias and back (16 bytes each).
    """

    __slots__ = ("_keyed", "mac", "open_alias", "seal_alias")

    def __init__(self, suite: int, master: bytes) -> None:
        """Derive from the epoch's master."""
        hash_: hashes.HashAlgorithm
        mac: Mac
        cipher: Cipher[modes.ECB]
        if suite == SUITE_COMPACT:
            hash_, mac = hashes.SHA256(), mac_sha256
            alias_key = _hkdf(hash_, master, ALIAS_INFO, 32)
            cipher = Cipher(algorithms.AES(alias_key), modes.ECB())  # noqa: S305 - one block
        else:
            assert suite == SUITE_COMPACT_NATIONAL
            hash_, mac = hashes.SM3(), mac_sm3
            alias_key = _hkdf(hash_, master, ALIAS_INFO, 16)
            cipher = Cipher(algorithms.SM4(alias_key), modes.ECB())  # noqa: S305 - one block
        self.mac = mac
        # Keyed once and copied for each holder: the key's two blocks aren't hashed again.
        self._keyed = HMAC(_hkdf(hash_, master, TOKEN_INFO, 32), hash_)
        self.seal_alias: Block = cipher.encryptor().update
        self.open_alias: Block = cipher.decryptor().update

    def holder_key(self, credential_id: bytes) -> bytes:
        """Give the holder's key of this epoch, 32 bytes."""
        keyed = self._keyed.copy()
        keyed.update(credential_id)
        return keyed.finalize()

    def __repr__(self) -> str:
        """Show no key."""
        return "CompactKeys(…)"


class DerivedKeys:
    """Everything a verifier needs of one key epoch.

    Attributes:
        key_epoch: UTC day number.
        compact: Keys by compact suite.
        seal_private: X25519 private key of sealed codes.
        card_key: 32 bytes; hides the references of the day's cards.
    """

    __slots__ = ("card_key", "compact", "key_epoch", "seal_private")

    def __init__(self, keys: EpochKeys) -> None:
        """Derive all suites' keys.

        Raises:
            ValueError: A secret of the wrong length.
        """
        if len(keys.master) != MASTER_BYTES:
            raise ValueError("a master is 32 bytes")
        self.key_epoch = keys.key_epoch
        self.compact = {
            suite: CompactKeys(suite, keys.master)
            for suite in (SUITE_COMPACT, SUITE_COMPACT_NATIONAL)
        }
        self.seal_private = X25519PrivateKey.from_private_bytes(keys.seal_private)
        self.card_key = _hkdf(hashes.SHA256(), keys.master, CARD_INFO, 32)

    @property
    def seal_public(self) -> bytes:
        """The public half of the seal, 32 bytes."""
        return self.seal_private.public_key().public_bytes_raw()

    def __repr__(self) -> str:
        """Show the epoch only."""
        return f"DerivedKeys(key_epoch={self.key_epoch})"


class KeyRing:
    """The key epochs a verifier holds; immutable."""

    __slots__ = ("_by_epoch", "get")

    def __init__(self, epochs: Iterable[DerivedKeys] = ()) -> None:
        """Hold these epochs; of two of the same day the later one counts."""
        self._by_epoch = {keys.key_epoch: keys for keys in epochs}
        self.get: Callable[[int], DerivedKeys | None] = self._by_epoch.get

    @classmethod
    def derive(cls, epochs: Iterable[EpochKeys]) -> "KeyRing":
        """Derive a ring from secrets."""
        return cls(DerivedKeys(keys) for keys in epochs)

    def without_before(self, key_epoch: int) -> "KeyRing":
        """Forget the epochs before that day."""
        return KeyRing(keys for day, keys in self._by_epoch.items() if day >= key_epoch)

    @property
    def key_epochs(self) -> tuple[int, ...]:
        """The days held, ascending."""
        return tuple(sorted(self._by_epoch))

    def __iter__(self) -> Iterator[DerivedKeys]:
        """Walk through the epochs in order of days."""
        return iter([self._by_epoch[day] for day in self.key_epochs])

    def __len__(self) -> int:
        """Count the epochs."""
        return len(self._by_epoch)

    def __contains__(self, key_epoch: object) -> bool:
        """Tell whether a day's keys are held."""
        return key_epoch in self._by_epoch

    def __repr__(self) -> str:
        """Show the days only."""
        return f"KeyRing(key_epochs={self.key_epochs})"


def oldest_epoch_needed(today: int, days_back: int = RING_DAYS_BACK) -> int:
    """Give the oldest day a ring keeps; what is before it is deleted.

    The day before stays by default, so that a late code is told from a foreign one.
    """
    return today - days_back


def _hkdf(hash_: hashes.HashAlgorithm, master: bytes, info: bytes, length: int) -> bytes:
    return HKDF(algorithm=hash_, length=length, salt=None, info=info).derive(master)
