"""Encryption at rest: values sealed, ids hidden.

- Values: AES-256-GCM, a random 96-bit nonce each, bound to their table and key so that
  none can be put in another's place.
- Keys: ids pass through one AES block under a key of their own, so the store shows no id.
- Keys are derived per table from the node's.
"""

import os
from collections.abc import Callable, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from edge.errors import StoreError

NONCE_BYTES = 12
ID_BYTES = 16
Derive = Callable[[bytes], bytes]
"""Purpose → 32-byte key."""


class Sealer:
    """Seals the values of one table."""

    __slots__ = ("_aead", "_table")

    def __init__(self, table: bytes, derive: Derive) -> None:
        """Derive the table's key."""
        self._aead = AESGCM(derive(b"store/" + table))
        self._table = table

    def seal(self, key: bytes, value: bytes) -> bytes:
        """Seal a value for its place."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, value, self._table + key)

    def open(self, key: bytes, sealed: bytes) -> bytes:
        """Open the value of a place.

        Raises:
            StoreError: It was altered, moved, or sealed under another node's key.
        """
        try:
            return self._aead.decrypt(
                sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], self._table + key
            )
        except (InvalidTag, ValueError) as error:
            raise StoreError(
                f"an entry of the cache's table {self._table.decode()} is damaged or sealed under "
                "another node's key: move the cache folder away and enrol the node anew; the "
                "journal isn't touched by this"
            ) from error


class IdHider:
    """Hides 16-byte ids; the same id always gives the same key."""

    __slots__ = ("_block", "_open")

    def __init__(self, derive: Derive, purpose: bytes = b"store/ids") -> None:
        """Derive the key of a purpose."""
        key = derive(purpose)
        cipher = Cipher(algorithms.AES(key), modes.ECB())  # noqa: S305 - one block, a permutation
        self._block: Callable[[bytes], bytes] = cipher.encryptor().update
        self._open: Callable[[bytes], bytes] = cipher.decryptor().update

    def hide(self, id_: bytes) -> bytes:
        """Give the key of an id."""
        return self._block(id_)

    def hide_all(self, ids: Sequence[bytes]) -> list[bytes]:
        """Give the keys of several ids, by one call of the cipher."""
        hidden = self._block(b"".join(ids))
        return [hidden[at : at + ID_BYTES] for at in range(0, len(hidden), ID_BYTES)]

    def reveal(self, key: bytes) -> bytes:
        """Give the id of a key."""
        return self._open(key)
