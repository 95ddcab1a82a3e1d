"""KH1's wire form: suites, layouts, steps and key epochs; no cryptography.

- All integers are big-endian; a text is `KH1:` and the Base45 of the binary.
- One text for one binary: what doesn't parse strictly is malformed.
- Not here: keys, tags and time windows (edge.hotpath).
"""

import msgspec

from edge.protocol import base45
from edge.protocol.steps import DAY_S, STEP_S

PREFIX = "KH1:"
TEXT_CHARS_MAX = 4296
"""The most alphanumeric characters that any QR code holds (version 40-L)."""

SUITE_COMPACT = 0x01
SUITE_COMPACT_NATIONAL = 0x02
SUITE_SEALED = 0x11
SUITES = (SUITE_COMPACT, SUITE_COMPACT_NATIONAL, SUITE_SEALED)

ID_BYTES = 16
TAG_BYTES = 16
ENC_BYTES = 32
COMPACT_BYTES = 1 + 4 + ID_BYTES + TAG_BYTES
SEALED_HEAD_BYTES = 1 + 2
SEALED_INNER_BYTES_MIN = 4 + ID_BYTES + TAG_BYTES
SEALED_BYTES_MIN = SEALED_HEAD_BYTES + ENC_BYTES + SEALED_INNER_BYTES_MIN + 16

TAG_CONTEXT = b"kanhe/KH1"
SEAL_CONTEXT = b"kanhe/KH1/sealed"
ALIAS_INFO = b"kanhe/KH1/alias"
TOKEN_INFO = b"kanhe/KH1/token"
CARD_INFO = b"kanhe/KH1/card"


class SealedInner(msgspec.Struct, frozen=True):
    """The plaintext of a sealed presentation."""

    step: int
    credential_id: bytes
    tag: bytes
    card: bytes

    def __repr__(self) -> str:
        """Show nothing that identifies a holder."""
        return "SealedInner(…)"


def step_at(unix_s: float) -> int:
    """Give the step that contains a time."""
    return int(unix_s // STEP_S)


def key_epoch_of(step: int) -> int:
    """Give the UTC day number that a step belongs to, never reduced."""
    return step * STEP_S // DAY_S


def encode_text(binary: bytes) -> str:
    """Give the text form of a binary."""
    return PREFIX + base45.encode(binary)


def pack_compact_head(suite: int, step: int, alias: bytes) -> bytes:
    """Give `suite ‖ step ‖ alias`, the part of a compact code before its tag."""
    return bytes((suite,)) + step.to_bytes(4, "big") + alias


def pack_sealed_head(key_epoch: int) -> bytes:
    """Give `suite ‖ key_epoch`, the header of a sealed code.

    Raises:
        OverflowError: The key epoch doesn't fit its two bytes (from the year 2149).
    """
    return bytes((SUITE_SEALED,)) + key_epoch.to_bytes(2, "big")


def pack_sealed_inner(inner: SealedInner) -> bytes:
    """Give the plaintext to seal."""
    return inner.step.to_bytes(4, "big") + inner.credential_id + inner.tag + inner.card


def parse_sealed_inner(plain: bytes) -> SealedInner:
    """Take a plaintext apart; its length was bounded by the sealed code's."""
    return SealedInner(
        step=int.from_bytes(plain[:4], "big"),
        credential_id=plain[4:20],
        tag=plain[20:36],
        card=plain[36:],
    )
