"""Verification ids: 128 random bits each, drawn from the system in batches.

- One system call gives many ids: on a virtual machine a single draw costs more than judging
  a code.
"""

import os

ID_BYTES = 16
BATCH = 256


class RandomIds:
    """Gives ids of 32 lower-case hex characters; one thread at a time."""

    def __init__(self) -> None:
        """Begin with nothing drawn."""
        self._drawn = ""
        self._at = 0

    def __call__(self) -> str:
        """Give the next id."""
        at = self._at
        if at >= len(self._drawn):
            self._drawn, at = os.urandom(ID_BYTES * BATCH).hex(), 0
        self._at = at + 2 * ID_BYTES
        return self._drawn[at : at + 2 * ID_BYTES]
