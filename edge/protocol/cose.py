"""COSE_Sign1 with Ed25519 (RFC 9052 §4.2, RFC 9053 §2.2): the one form of signed CBOR used here.

- One encoding of one message: tag 18, shortest heads, an empty unprotected header. Its outside is
  taken apart here by hand, so that no bytes of a stranger ever reach a CBOR decoder.
- A payload is decoded only after its signature holds.
- The caller names the protected header and the external data that it expects: a signature made for
  one purpose is one for no other.
- Not here: what payloads say (edge.hotpath.card, edge.hotpath.statuslist).
"""

from collections.abc import Iterable

import cbor2
import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

SIGNATURE_BYTES = 64
MESSAGE_BYTES_MAX = 1 << 20
ALGORITHM, TYPE, EDDSA = 1, 16, -8
"""Labels of the protected header (RFC 9052 §3.1, RFC 9596), and Ed25519 as an algorithm."""
_OPEN = b"\xd2\x84"
_NO_HEADERS = b"\xa0"
_CONTEXT = b"\x84\x6aSignature1"


class CoseError(ValueError):
    """Bytes that aren't a message of the one form, or a payload that is no map."""


class Sign1(msgspec.Struct, frozen=True):
    """The three parts of a message that vary."""

    protected: bytes
    payload: bytes
    signature: bytes


def protected_header(type_: str = "") -> bytes:
    """Give the protected header: Ed25519, and what the payload is where that is said."""
    header: dict[int, int | str] = {ALGORITHM: EDDSA}
    if type_:
        header[TYPE] = type_
    return dump(header)


def sign(key: Ed25519PrivateKey, protected: bytes, payload: bytes, external: bytes = b"") -> bytes:
    """Give the message of a payload, signed."""
    signature = key.sign(to_be_signed(protected, payload, external))
    return _packed(Sign1(protected, payload, signature))


def open_signed(
    data: bytes, keys: Iterable[Ed25519PublicKey], protected: bytes, external: bytes = b""
) -> bytes:
    """Give the payload of a message that one of the keys signed for this purpose.

    Args:
        data: The message.
        keys: Who may sign.
        protected: The header that it must have.
        external: What was signed beside it and isn't in it.

    Raises:
        CoseError: It isn't of the form, or no key's signature holds.
    """
    message = parse_sign1(data)
    if message.protected != protected:
        raise CoseError("a header for another purpose")
    covered = to_be_signed(protected, message.payload, external)
    for key in keys:
        try:
            key.verify(message.signature, covered)
        except InvalidSignature:
            continue
        return message.payload
    raise CoseError("no known key signed this")


def parse_sign1(data: bytes) -> Sign1:
    """Take a message apart; the payload stays unread.

    Raises:
        CoseError: It isn't the one encoding of a message.
    """
    if len(data) > MESSAGE_BYTES_MAX or not data.startswith(_OPEN):
        raise CoseError("not a COSE_Sign1")
    protected, at = _take(data, len(_OPEN))
    payload, at = _take(data, at + len(_NO_HEADERS))
    signature, _ = _take(data, at)
    message = Sign1(protected, payload, signature)
    if len(signature) != SIGNATURE_BYTES or _packed(message) != data:
        raise CoseError("not the one encoding of a COSE_Sign1")
    return message


def to_be_signed(protected: bytes, payload: bytes, external: bytes = b"") -> bytes:
    """Give the Sig_structure of a message (RFC 9052 §4.4)."""
    return _CONTEXT + _string(protected) + _string(external) + _string(payload)


def dump(value: object) -> bytes:
    """Encode CBOR deterministically (RFC 8949 §4.2.1)."""
    return cbor2.dumps(value, canonical=True)


def load_claims(payload: bytes) -> dict[int, object]:
    """Decode the claims of a payload whose signature holds.

    Raises:
        CoseError: It is no map with numbered claims.
    """
    try:
        claims = cbor2.loads(payload)
    except (cbor2.CBORDecodeError, ValueError, TypeError, RecursionError) as error:
        raise CoseError("the payload isn't CBOR") from error
    if not isinstance(claims, dict) or not all(isinstance(label, int) for label in claims):
        raise CoseError("the payload is no map of claims")
    return claims


def _packed(message: Sign1) -> bytes:
    return (_OPEN + _string(message.protected) + _NO_HEADERS + _string(message.payload)
            + _string(message.signature))


def _string(data: bytes) -> bytes:
    """Encode a byte string with the shortest head."""
    size = len(data)
    if size < 24:
        return bytes((0x40 | size,)) + data
    for extra, width in ((24, 1), (25, 2), (26, 4)):
        if size < 1 << 8 * width:
            return bytes((0x40 | extra,)) + size.to_bytes(width, "big") + data
    raise CoseError("too long")


def _take(data: bytes, at: int) -> tuple[bytes, int]:
    """Take a byte string at a place; the whole is compared afterwards, so heads may lie here."""
    extra = data[at] & 31 if at < len(data) else 31
    width = {24: 1, 25: 2, 26: 4}.get(extra, 0)
    if extra > 26:
        raise CoseError("a byte string is missing")
    start = at + 1 + width
    size = int.from_bytes(data[at + 1:start], "big") if width else extra
    if start + size > len(data):
        raise CoseError("cut short")
    return data[start:start + size], start + size
