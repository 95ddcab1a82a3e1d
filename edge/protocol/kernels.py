"""The compiled inner loops of Base45 decoding.

- Takes arrays and scalars, touches nothing else; cached on disk.
- Its plain twin is `decode_plain`, which the tests compare it with.
"""

import numba
import numpy as np
import numpy.typing as npt

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
BAD = 1 << 20
"""The value of a character outside the alphabet: larger than any group may be."""

VALUES = np.full(256, BAD, dtype=np.int32)
for _index, _char in enumerate(ALPHABET):
    VALUES[ord(_char)] = _index

Octets = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.int64]


@numba.njit(cache=True, nogil=False)
def decode_groups(text: Octets, start: int, out: Octets) -> int:
    """Decode ASCII octets from `start` into `out`.

    Args:
        text: uint8, shape (n,).
        start: First octet to decode.
        out: uint8, at least ⌈2(n − start)/3⌉ long; written from its beginning.

    Returns:
        Octets written, or −1 if the text isn't Base45.
    """
    end = text.shape[0]
    at = start
    written = 0
    while at + 2 < end:
        value = VALUES[text[at]] + 45 * VALUES[text[at + 1]] + 2025 * VALUES[text[at + 2]]
        if value > 65535:
            return -1
        out[written] = value >> 8
        out[written + 1] = value & 255
        written += 2
        at += 3
    if at + 1 < end:
        value = VALUES[text[at]] + 45 * VALUES[text[at + 1]]
        if value > 255:
            return -1
        out[written] = value
        written += 1
        at += 2
    return written if at == end else -1


@numba.njit(cache=True, nogil=False)
def decode_each(text: Octets, ends: Numbers, start: int, out: Octets, written: Numbers) -> None:
    """Decode several texts that follow each other, each from its octet `start` on.

    Args:
        text: uint8, shape (n,): all of them.
        ends: int64, shape (k,): where each ends in `text`.
        start: First octet of each to decode.
        out: uint8, at least n long; what each gives begins where the text itself does.
        written: int64, shape (k,): octets of each, −1 if it isn't Base45.
    """
    first = 0
    for number in range(ends.shape[0]):
        end = ends[number]
        written[number] = decode_groups(text[first:end], start, out[first:])
        first = end


def decode_plain(text: Octets, start: int, out: Octets) -> int:
    """Do the same without compilation."""
    values = [int(VALUES[octet]) for octet in text[start:]]
    written = 0
    for at in range(0, len(values), 3):
        group = values[at : at + 3]
        value = sum(digit * 45**place for place, digit in enumerate(group))
        octets = len(group) - 1
        if octets == 0 or value >= 256**octets:
            return -1
        out[written : written + octets] = list(value.to_bytes(octets, "big"))
        written += octets
    return written
