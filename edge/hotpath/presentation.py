"""The judgement of a presentation: form, key epoch, authenticity, time.

- `check_presentation` is the only place that makes an `AuthenticPresentation`, so
  nothing later can run on a code that isn't genuine.
- Any text gives a verdict or evidence, never another exception.
- The text is judged exactly as read.
- Not here: credential, status, replay, face. Nothing is looked up.
"""

from collections.abc import Sequence
from hmac import compare_digest

import msgspec
from cryptography.exceptions import InvalidTag

from edge.hotpath.keys import DerivedKeys, KeyRing
from edge.hotpath.node_seal import SEAL_SUITE
from edge.hotpath.reasons import Reason
from edge.hotpath.verdict import Verdict, verdict
from edge.protocol.base45 import decode_all, decode_or_none
from edge.protocol.kh1 import (
    COMPACT_BYTES,
    PREFIX,
    SEAL_CONTEXT,
    SEALED_BYTES_MIN,
    SEALED_HEAD_BYTES,
    SUITE_COMPACT,
    SUITE_SEALED,
    SUITES,
    TAG_BYTES,
    TAG_CONTEXT,
    TEXT_CHARS_MAX,
    SealedInner,
    key_epoch_of,
    parse_sealed_inner,
)
from edge.protocol.steps import DAY_S, STEP_S

_MALFORMED = verdict(Reason.MALFORMED)
_KEY_EPOCH_UNKNOWN = verdict(Reason.KEY_EPOCH_UNKNOWN)
_MAC_MISMATCH = verdict(Reason.MAC_MISMATCH)
_STEP_EXPIRED = verdict(Reason.STEP_EXPIRED)
_STEP_FUTURE = verdict(Reason.STEP_FUTURE)
_PREFIX_CHARS = len(PREFIX)
_ANY_CODE = PREFIX + "BB8"


class DriftWindow(msgspec.Struct, frozen=True):
    """What a scene admits: steps around now, and suites."""

    steps_back: int = 1
    steps_ahead: int = 1
    suites: tuple[int, ...] = SUITES

    def narrowed(self) -> "DriftWindow":
        """Give a window one step narrower on both sides, at least the step of now."""
        return DriftWindow(max(0, self.steps_back - 1), max(0, self.steps_ahead - 1), self.suites)


class AuthenticPresentation(msgspec.Struct, frozen=True, gc=False):
    """Evidence that a holder's wallet made this code, and in time.

    Attributes:
        suite: KH1 suite.
        key_epoch: Day whose keys it holds under.
        step: The step it was made for.
        credential_id: 16 bytes.
        card: Signed offline credential of a sealed code, or empty.
    """

    suite: int
    key_epoch: int
    step: int
    credential_id: bytes
    card: bytes = b""

    def __repr__(self) -> str:
        """Show nothing that identifies a holder."""
        return f"AuthenticPresentation(suite={self.suite:#04x}, step={self.step})"


def check_presentation(
    text: str, now: float, keys: KeyRing, window: DriftWindow
) -> AuthenticPresentation | Verdict:
    """Judge one text in the order that KH1 lays down.

    Args:
        text: Exactly as read.
        now: Unix seconds, read once for this judgement.
        keys: The epochs this verifier holds.
        window: Steps and suites that the scene admits.

    Returns:
        Evidence if the code is genuine and in time, else the verdict.
    """
    # 1. Form: length, prefix, Base45, suite, length of the binary.
    return check_binary(open_text(text), now, keys, window)


def open_text(text: str) -> bytes | None:
    """Give the binary of a text, None if it hasn't the form of a code."""
    return decode_or_none(text, _PREFIX_CHARS) if _may_be_code(text) else None


def open_texts(texts: Sequence[str]) -> list[bytes | None]:
    """Give the binaries of several texts; see `open_text`."""
    if not all(map(_may_be_code, texts)):
        return [open_text(text) for text in texts]
    return decode_all(texts, _PREFIX_CHARS)


def warm_codes() -> None:
    """Load what the first code would otherwise wait for: the compiled loops that read texts."""
    open_text(_ANY_CODE)
    open_texts((_ANY_CODE,))


def _may_be_code(text: str) -> bool:
    return len(text) <= TEXT_CHARS_MAX and text.startswith(PREFIX)


def check_binary(
    binary: bytes | None, now: float, keys: KeyRing, window: DriftWindow
) -> AuthenticPresentation | Verdict:
    """Judge the binary of a text; see `check_presentation`."""
    if not binary or (suite := binary[0]) not in window.suites:
        return _MALFORMED
    if suite == SUITE_SEALED:
        return _check_sealed(binary, now, keys, window)
    if suite not in SUITES or len(binary) != COMPACT_BYTES:
        return _MALFORMED

    # 2. Key epoch: the day that the step names.
    step = int.from_bytes(binary[1:5], "big")
    day = step * STEP_S // DAY_S
    held = keys.get(day)
    if held is None:
        return _KEY_EPOCH_UNKNOWN

    # 3. Authenticity: alias → credential id → holder key → tag, in constant time.
    compact = held.compact[suite]
    credential_id = compact.open_alias(binary[5:21])
    tag = compact.mac(compact.holder_key(credential_id), TAG_CONTEXT + binary[:21])
    if not compare_digest(tag[:TAG_BYTES], binary[21:]):
        return _MAC_MISMATCH

    # 5. Time (4 concerns sealed codes only).
    return check_step(step, now, window) or AuthenticPresentation(suite, day, step, credential_id)


def check_step(step: int, now: float, window: DriftWindow) -> Verdict | None:
    """Judge when a genuine code was made, None if that is within the window around now."""
    late = now // STEP_S - step
    if late > window.steps_back:
        return _STEP_EXPIRED
    if -late > window.steps_ahead:
        return _STEP_FUTURE
    return None


def _check_sealed(
    binary: bytes, now: float, keys: KeyRing, window: DriftWindow
) -> AuthenticPresentation | Verdict:
    """Judge a sealed code from its header on; same order, same verdicts."""
    if len(binary) < SEALED_BYTES_MIN:
        return _MALFORMED

    # 2. Key epoch: the day that the header names.
    day = int.from_bytes(binary[1:SEALED_HEAD_BYTES], "big")
    held = keys.get(day)
    if held is None:
        return _KEY_EPOCH_UNKNOWN

    # 3. Authenticity: the seal (an `enc` that the KEM refuses included), then the tag.
    inner = _open_seal(binary, held)
    if inner is None:
        return _MAC_MISMATCH
    compact = held.compact[SUITE_COMPACT]
    tagged = (
        TAG_CONTEXT + binary[:1] + inner.step.to_bytes(4, "big") + inner.credential_id + inner.card
    )
    tag = compact.mac(compact.holder_key(inner.credential_id), tagged)
    if not compare_digest(tag[:TAG_BYTES], inner.tag):
        return _MAC_MISMATCH

    # 4. The sealed step belongs to the header's day; days aren't reduced to two bytes.
    if key_epoch_of(inner.step) != day:
        return _MALFORMED

    # 5. Time.
    return check_step(inner.step, now, window) or AuthenticPresentation(
        SUITE_SEALED, day, inner.step, inner.credential_id, inner.card)


def _open_seal(binary: bytes, held: DerivedKeys) -> SealedInner | None:
    info = SEAL_CONTEXT + binary[:SEALED_HEAD_BYTES]
    try:
        plain = SEAL_SUITE.decrypt(binary[SEALED_HEAD_BYTES:], held.seal_private, info)
    except (InvalidTag, ValueError):
        return None
    return parse_sealed_inner(plain)
