"""From a hidden id to its slot: an open-addressing table in memory, made again at every start.

- Ids are the output of a cipher, so their own bits spread them; at most half of the table is used.
- Removing closes the gap, so that lookups don't slow down with age.
"""

import numpy as np

from edge.cache.gallery.kernels import Table, Words, index_ids

Id = tuple[int, int]
"""A hidden id as two little-endian 64-bit words."""


class SlotIndex:
    """Slots by id, over the gallery's column of ids."""

    def __init__(self, ids: Words, used: int) -> None:
        """Enter the ids of the first `used` slots; an id of zeros is none."""
        self._ids = ids
        self._table: Table = np.zeros(1 << (2 * len(ids) - 1).bit_length(), np.uint32)
        self._mask = len(self._table) - 1
        self.count = int(index_ids(ids[:used], self._table))

    def find(self, id_: Id) -> int | None:
        """Give the slot of an id, None if it isn't there."""
        at = self._place(id_)
        entry = int(self._table[at])
        return entry - 1 if entry else None

    def enter(self, id_: Id, slot: int) -> None:
        """Enter a slot whose id is already in its column and isn't entered yet."""
        at = self._place(id_)
        assert self._table[at] == 0
        self._table[at] = slot + 1
        self.count += 1

    def remove(self, id_: Id) -> None:
        """Take an id out that is entered and still in its column."""
        hole = self._place(id_)
        assert self._table[hole]
        at = hole
        while True:
            at = (at + 1) & self._mask
            entry = int(self._table[at])
            if not entry:
                break
            home = int(self._ids[entry - 1, 0]) & self._mask
            # An entry may move back into the hole unless its home lies behind it.
            if (at - home) & self._mask >= (at - hole) & self._mask:
                self._table[hole] = entry
                hole = at
        self._table[hole] = 0
        self.count -= 1

    def _place(self, id_: Id) -> int:
        """Give where an id is, or the empty place where it would be."""
        low, high = id_
        at = low & self._mask
        while entry := int(self._table[at]):
            if int(self._ids[entry - 1, 0]) == low and int(self._ids[entry - 1, 1]) == high:
                return at
            at = (at + 1) & self._mask
        return at
