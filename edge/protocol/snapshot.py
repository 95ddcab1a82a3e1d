"""Snapshots of the feed: what is signed, and the form of a part.

- A `Snapshot` stands for the first `cursor` changes of a log and names each of its parts by length
  and digest; a `Timestamp` names the newest snapshot by version, length and digest (TUF's roles).
- A part is a file of changes that only put: MessagePack, zlib, and, where it holds personal data,
  sealed under a feed key. Its digest is over the bytes as they travel, so it can be cached.
- Not here: checking (edge.sync.snapshot) and making (central.snapshots).
"""

import zlib

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from edge.protocol.feed import Change

PARTS_MAX = 16_384
PART_BYTES_MAX = 8 * 1024 * 1024
"""Of a part as it travels, and of what it holds."""
PART_CHANGES_MAX = 50_000
COMPRESSION = 1
NONCE_BYTES = 12
FEED_KEY_BYTES = 32
_CONTEXT = b"kanhe/feed/part/1\x00"


class SnapshotPart(msgspec.Struct, frozen=True, kw_only=True):
    """One part.

    Attributes:
        digest: SHA-256 (32 bytes) of the part as it travels.
        length: Its bytes as it travels.
        plain_length: Bytes it holds when opened and unpacked.
        changes: How many changes it holds.
        key: Version of the feed key that it is sealed under; 0 = not sealed.
    """

    digest: bytes
    length: int
    plain_length: int
    changes: int
    key: int = 0


class Snapshot(msgspec.Struct, frozen=True, tag="snapshot", kw_only=True):
    """The state after the first `cursor` changes, in parts.

    It may be newer than that in places: changes from `cursor` on, applied in order, make up for it.
    """

    format: int
    log: str
    version: int
    """Rises with every snapshot; never goes back."""
    cursor: int
    issued_s: int
    expires_s: int
    parts: tuple[SnapshotPart, ...]


class Timestamp(msgspec.Struct, frozen=True, tag="timestamp", kw_only=True):
    """Which snapshot is the newest one; short-lived."""

    format: int
    log: str
    issued_s: int
    expires_s: int
    version: int
    length: int
    digest: bytes


class PartError(Exception):
    """A part that can't be what it is said to be; the words say what is wrong."""


def pack_part(changes: list[Change], log: str, key: tuple[int, bytes, bytes] | None
              ) -> tuple[bytes, int]:
    """Give a part as it travels, and the length of what it holds.

    Args:
        changes: That only put.
        log: Name of the feed.
        key: Version of the feed key, the key, and a fresh nonce; None = don't seal.
    """
    plain = _ENCODER.encode(changes)
    packed = zlib.compress(plain, COMPRESSION)
    if key is not None:
        version, secret, nonce = key
        packed = nonce + AESGCM(secret).encrypt(nonce, packed, _bound(log, version))
    return packed, len(plain)


def unpack_part(data: bytes, part: SnapshotPart, log: str, secret: bytes | None) -> bytes:
    """Open and unpack a part whose length and digest hold already; not beyond its said length.

    Raises:
        PartError: It doesn't open, or isn't as long as said.
    """
    if part.key:
        if secret is None:
            raise PartError(f"it is sealed under feed key {part.key}, which isn't held")
        try:
            data = AESGCM(secret).decrypt(
                data[:NONCE_BYTES], data[NONCE_BYTES:], _bound(log, part.key))
        except (InvalidTag, ValueError):
            raise PartError(f"it isn't sealed under feed key {part.key}") from None
    inflate = zlib.decompressobj()
    try:
        plain = inflate.decompress(data, part.plain_length + 1)
    except zlib.error as error:
        raise PartError(f"it can't be unpacked: {error}") from None
    if len(plain) != part.plain_length or not inflate.eof or inflate.unused_data:
        raise PartError(f"it doesn't hold the {part.plain_length} bytes that were said")
    return plain


def parse_part(plain: bytes) -> list[Change]:
    """Parse what a part holds.

    Raises:
        PartError: It holds no changes.
    """
    try:
        return _CHANGES.decode(plain)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # No cause is kept: the decoder's words could quote personal fields.
        raise PartError("it holds something else than changes") from None


def _bound(log: str, key: int) -> bytes:
    return _CONTEXT + key.to_bytes(4, "big") + log.encode()


_ENCODER = msgspec.msgpack.Encoder()
_CHANGES: msgspec.msgpack.Decoder[list[Change]] = msgspec.msgpack.Decoder(list[Change])
