"""Codes of a gallery's rows: kept in step with them, and made anew aside.

- New codes are made in the bank that doesn't serve, while searches and changes go on; then the
  banks are swapped. Nobody waits for longer than it takes to code what changed meanwhile.
- A search holds the bank that it began with: that one isn't written anew before it has ended.
- Callers hold the gallery's lock where it says so. Not here: searching.
"""

import threading

import numpy as np

from edge.cache.gallery.kernels import FREE, encode_rows
from edge.cache.gallery.layout import BANKS, Bank, Layout
from edge.cache.gallery.query import mean_row

SLICE_ROWS = 16_384
"""Rows coded between two looks at whether the gallery closes."""
BEHIND_MAX = 512
"""Changed rows that are coded under the lock at the swap: under a millisecond."""
ROUNDS_MAX = 16
"""Times that the rows changed meanwhile are coded aside before the swap happens anyway."""


class Coder:
    """Codes of one gallery."""

    def __init__(self, file: Layout, lock: threading.Lock) -> None:
        """Take the file, and the lock that its changes are made under."""
        self._file, self._lock = file, lock
        self._unread = threading.Condition(lock)
        self._readers = [0] * BANKS
        self._one = threading.Lock()
        self._behind: set[int] | None = None  # slots changed while new codes are made
        self._stopped = False

    def encode(self, slot: int) -> None:
        """Code a slot's row as it is now. Under the lock."""
        self._encode(self._file.banks[self._file.active], slot, slot + 1)
        self._note(slot)

    def free(self, slot: int) -> None:
        """Let no search find a slot. Under the lock."""
        self._file.banks[self._file.active].bases[slot] = FREE
        self._note(slot)

    def holds(self, slot: int) -> bool:
        """Tell whether a slot has a row. Under the lock."""
        return bool(self._file.banks[self._file.active].bases[slot] != FREE)

    def begin(self) -> int:
        """Give the bank to search in, for as long as it takes until `end`. Under the lock."""
        self._readers[self._file.active] += 1
        return self._file.active

    def end(self, bank: int) -> None:
        """Let go of a bank. Under the lock."""
        self._readers[bank] -= 1
        self._unread.notify_all()

    def recode(self) -> None:
        """Take the mean anew and code every row by it."""
        file = self._file
        with self._one:
            with self._unread:
                aside = 1 - file.active
                self._unread.wait_for(lambda: self._readers[aside] == 0)
                self._behind, used = set(), file.used
            bank = file.banks[aside]
            live = np.flatnonzero(file.ids[:used].any(axis=1))
            bank.mean[:] = mean_row(file.rows, file.inverses, live)
            for begin in range(0, used, SLICE_ROWS):
                if self._stopped:
                    return
                end = min(used, begin + SLICE_ROWS)
                self._encode(bank, begin, end)
                bank.bases[begin:end][~file.ids[begin:end].any(axis=1)] = FREE
            self._catch_up(bank)
            with self._lock:
                self._code(bank, self._taken(more=False))
                file.active, file.coded = aside, len(live)

    def warm(self) -> None:
        """Compile what the first change would wait for."""
        self._encode(self._file.banks[0], 0, 0)

    def stop(self) -> None:
        """Give up what is being made aside, and wait until it is."""
        self._stopped = True
        with self._one:
            pass

    def _catch_up(self, bank: Bank) -> None:
        for _ in range(ROUNDS_MAX):
            with self._lock:
                if len(self._behind or ()) <= BEHIND_MAX:
                    return
                changed = self._taken(more=True)
            self._code(bank, changed)

    def _taken(self, *, more: bool) -> set[int]:
        changed, self._behind = self._behind or set(), set() if more else None
        return changed

    def _code(self, bank: Bank, slots: set[int]) -> None:
        """Code single slots as they are now; one that changes meanwhile is noted again."""
        for slot in slots:
            if self._file.ids[slot].any():
                self._encode(bank, slot, slot + 1)
            else:
                bank.bases[slot] = FREE

    def _note(self, slot: int) -> None:
        if self._behind is not None:
            self._behind.add(slot)

    def _encode(self, bank: Bank, begin: int, end: int) -> None:
        file = self._file
        encode_rows(file.rows, file.inverses, bank.mean, begin, end,
                    bank.codes, bank.factors, bank.bases)
