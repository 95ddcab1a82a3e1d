"""Bundles: the feed, a node's keys and model packs in a file, and the journal the other way.

- A file is 8 bytes of magic and sections: kind (1 byte), length (u32, big-endian), payload. The
  last section is `END`; nothing follows it.
- What the platform sends is the same signed envelopes as on the wire, made out to one node
  (`carried_to`) and living for weeks. From the head on every payload is sealed to that node, for
  the feed holds personal data: AES-256-GCM under a key of the bundle, which the signed head
  carries HPKE-sealed. A section's place and kind, and all before the seals, are bound in.
- What a node sends back holds no personal data; its end is the node's signature over everything
  before it.
- Not here: belief (edge.sync.rules), files (edge.sync.bundle, central.bundle).
"""

import hashlib
import struct

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from edge.protocol.feed import ENVELOPE_BYTES_MAX
from edge.protocol.report import NodeReport

BUNDLE_MAGIC = b"KANHEB1\n"
JOURNAL_MAGIC = b"KANHEJ1\n"
MAGIC_BYTES = 8
FORMAT = 1
SECTION_HEAD = struct.Struct(">cI")
SEAL_BYTES = 16
SECTION_BYTES_MAX = ENVELOPE_BYTES_MAX + SEAL_BYTES
SECTIONS_MAX = 200_000
FILE_BYTES_MAX = 64 * 1024**3
PACKS_MAX = 8
PACK_FILES_MAX = 17
CHUNK_BYTES = 1024 * 1024
KEY_BYTES = 32

ROOT, HEAD, CHANGES, KEYS, PACK, UPLOAD, END = (bytes([c]) for c in b"RHCKPUE")

KEY_INFO = b"kanhe/bundle/key/1"
JOURNAL_CONTEXT = b"kanhe/bundle/journal/1\x00"
REQUEST_CONTEXT = b"kanhe/bundle/request/1\x00"


class BundledFile(msgspec.Struct, frozen=True):
    """A file of a pack. `sha256` is hex."""

    name: str
    bytes: int
    sha256: str


class BundledPack(msgspec.Struct, frozen=True):
    """A model pack: its files' contents follow one another in the `PACK` sections."""

    id: str
    files: tuple[BundledFile, ...]


class BundleHead(msgspec.Struct, frozen=True, tag="bundle", kw_only=True):
    """What a bundle is, signed as changes are.

    Attributes:
        node_id: Whom it is for.
        first: Number of its first change.
        sealed_key: The bundle's key, HPKE-sealed with info `KEY_INFO ‖ node_id`.
        journal_log, journal_next: The platform holds this log's records before `journal_next`.
        journal_point, journal_said: The newest checkpoint that it counter-signed, and its
            counter-signature, both JSON; empty if there is none.
    """

    format: int
    log: str
    node_id: str
    issued_s: int
    expires_s: int
    first: int
    sealed_key: bytes
    journal_log: str
    journal_next: int
    journal_point: bytes = b""
    journal_said: bytes = b""
    packs: tuple[BundledPack, ...] = ()


class JournalHead(msgspec.Struct, frozen=True, kw_only=True):
    """What a journal file is: records `first … size-1` of a node's log, and how the node is.

    `checkpoint` is one to be counter-signed, as JSON; empty if there is none.
    """

    format: int
    log: str
    node_id: str
    first: int
    size: int
    at_s: int
    report: NodeReport
    checkpoint: bytes = b""


class JoinRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a node without a network says of itself; keys are raw (base64 in JSON).

    `signature` is the signing key's over `REQUEST_CONTEXT ‖ seal_public ‖ name`.
    """

    format: int
    name: str
    sign_public: bytes
    seal_public: bytes
    signature: bytes

    @property
    def fingerprint(self) -> str:
        """What is compared on both sides by eye: 16 bytes of SHA-256 of the keys, hex."""
        return hashlib.sha256(self.sign_public + self.seal_public).hexdigest()[:32]


class JoinAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What the platform makes of it; `root` is an envelope (base64 in JSON)."""

    format: int
    node_id: str
    log: str
    root: bytes


def frame(kind: bytes, payload: bytes) -> bytes:
    """Give a section's bytes."""
    return SECTION_HEAD.pack(kind, len(payload)) + payload


class Sealer:
    """Seals and opens the sections of one bundle, in their order."""

    def __init__(self, key: bytes, before: bytes) -> None:
        """Begin behind the head; `before` is the SHA-256 of the file so far."""
        self._aead = AESGCM(key)
        self._before = before
        self._number = 0

    def seal(self, kind: bytes, payload: bytes) -> bytes:
        """Seal the next section's payload."""
        nonce, bound = self._next(kind)
        return self._aead.encrypt(nonce, payload, bound)

    def open(self, kind: bytes, sealed: bytes) -> bytes | None:
        """Open the next section's payload; None = it isn't what was sealed there."""
        nonce, bound = self._next(kind)
        try:
            return self._aead.decrypt(nonce, sealed, bound)
        except (InvalidTag, ValueError):
            return None

    def _next(self, kind: bytes) -> tuple[bytes, bytes]:
        number = self._number.to_bytes(12, "big")
        self._number += 1
        return number, self._before + kind + number
