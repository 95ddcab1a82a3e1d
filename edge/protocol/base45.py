"""Base45 (RFC 9285), strict: one text for one binary.

- A group above 65535 (two characters: above 255), a single character left over or
  a character outside the alphabet is refused; nothing is trimmed or folded.
- Decoding looks up groups of three characters in one table, which measured faster
  than arithmetic for texts of a code's length.
"""

from itertools import product

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
_RADIX = len(ALPHABET)


class Base45Error(ValueError):
    """The text isn't Base45."""


def _triples() -> dict[str, bytes]:
    table = {}
    for value, (high, mid, low) in enumerate(product(ALPHABET, repeat=3)):
        # The text is little-endian in its groups: the first character weighs least.
        if value > 0xFFFF:
            break
        table[low + mid + high] = value.to_bytes(2, "big")
    return table


def _pairs() -> dict[str, bytes]:
    return {
        ALPHABET[value % _RADIX] + ALPHABET[value // _RADIX]: bytes((value,))
        for value in range(256)
    }


_TRIPLES = _triples()
_PAIRS = _pairs()
_ENCODED = [""] * 65536
for _text, _value in _TRIPLES.items():
    _ENCODED[int.from_bytes(_value, "big")] = _text
_ENCODED_TAIL = [""] * 256
for _text, _value in _PAIRS.items():
    _ENCODED_TAIL[_value[0]] = _text


def encode(data: bytes) -> str:
    """Encode bytes of any length."""
    even = len(data) & ~1
    parts = [_ENCODED[data[i] << 8 | data[i + 1]] for i in range(0, even, 2)]
    if even != len(data):
        parts.append(_ENCODED_TAIL[data[even]])
    return "".join(parts)


def decode(text: str, start: int = 0) -> bytes:
    """Decode the text from `start` to its end.

    Raises:
        Base45Error: It isn't Base45; the message never holds the text.
    """
    end = len(text)
    whole = end - (end - start) % 3
    table = _TRIPLES
    try:
        parts = [table[text[i : i + 3]] for i in range(start, whole, 3)]
        if whole != end:
            parts.append(_PAIRS[text[whole:]])
    except KeyError:
        raise Base45Error("a group isn't Base45") from None
    return b"".join(parts)
