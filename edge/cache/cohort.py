"""The cohort: one reference an identity, of the node's own population, for normalisation.

- Rows as the store holds them; a transform that keeps cosines keeps what a cohort is for.
- At most `CAPACITY` identities. Of more, those with the lowest ranks: the store hides ids
  by a keyed permutation, so that order is a fair draw, the same after every restart.
- Readers take a view that never changes and never wait: while a writer is at work they keep
  the one before. Otherwise a dropped identity is in no view taken afterwards.
- Not here: scores and thresholds (edge.hotpath.normalise).
"""

import threading
from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt

from edge.hotpath.normalise import CohortView, view_of

CAPACITY = 2_000
"""More cost time and say little more: thresholds for 1e-5 are borne by 1,600."""
REFILL_SHARE = 0.9
"""A cohort that was cut off and has shrunk below this share of its bound wants a refill."""

Row = npt.NDArray[np.int8]


class Cohort:
    """Implements `ReferenceSink` for one pack. Thread-safe."""

    def __init__(
        self, pack: str, dimensions: int, rank: Callable[[bytes], bytes],
        capacity: int = CAPACITY,
    ) -> None:
        """Begin empty.

        Args:
            pack: References of others are passed over.
            dimensions: Length of a template; other lengths are passed over.
            rank: Holder id → its place in the order of the draw.
            capacity: Bound of identities.
        """
        self._pack, self._rank, self._capacity = pack, rank, capacity
        self._rows = np.zeros((capacity, dimensions), np.int8)
        self._holders: list[bytes] = []
        self._ranks: list[bytes] = []
        self._index: dict[bytes, int] = {}
        self._highest = b""  # rank, known while the cohort is full and unchanged
        self._cut_off = False
        self._version = 0
        self._lock = threading.Lock()
        self._view = view_of(0, self._rows[:0].copy(), ())

    @property
    def view(self) -> CohortView:
        """Give the cohort as it is now."""
        if self._view.version != self._version and self._lock.acquire(blocking=False):
            try:
                count = len(self._holders)
                self._view = view_of(self._version, self._rows[:count].copy(), self._holders)
            finally:
                self._lock.release()
        return self._view

    @property
    def wants_refill(self) -> bool:
        """Whether identities that once found no room could now be taken in."""
        return self._cut_off and len(self._holders) < REFILL_SHARE * self._capacity

    def put(self, holder_id: bytes, pack: str, row: Row) -> None:
        """Take in or replace the row of one identity."""
        if pack == self._pack:
            with self._lock:
                self._put(holder_id, row)

    def drop(self, holder_id: bytes, pack: str) -> None:
        """Forget an identity."""
        with self._lock:
            if pack == self._pack and holder_id in self._index:
                self._forget(holder_id)
                self._version += 1

    def refill(self, references: Iterable[tuple[bytes, Row]]) -> None:
        """Draw the cohort anew; writers wait meanwhile.

        Args:
            references: Holder ids and rows of the pack, by ascending rank; read no further than
                there is room.
        """
        with self._lock:
            self._holders.clear()
            self._ranks.clear()
            self._index.clear()
            self._highest, self._cut_off = b"", False
            self._version += 1
            for holder_id, row in references:
                if len(self._holders) == self._capacity:
                    self._cut_off = True
                    break
                self._put(holder_id, row)

    def _put(self, holder_id: bytes, row: Row) -> None:
        if row.shape != self._rows.shape[1:] or not row.any():
            return
        if holder_id not in self._index:
            rank = self._rank(holder_id)
            if len(self._holders) == self._capacity:
                self._cut_off = True
                self._highest = self._highest or max(self._ranks)
                if rank >= self._highest:
                    return
                self._forget(self._holders[self._ranks.index(self._highest)])
            self._index[holder_id] = len(self._holders)
            self._holders.append(holder_id)
            self._ranks.append(rank)
        self._rows[self._index[holder_id]] = row
        self._version += 1

    def _forget(self, holder_id: bytes) -> None:
        """Let the last row take its place."""
        place, last, rank = self._index.pop(holder_id), self._holders.pop(), self._ranks.pop()
        self._highest = b""
        if last != holder_id:
            self._rows[place] = self._rows[len(self._holders)]
            self._holders[place], self._ranks[place] = last, rank
            self._index[last] = place
