"""A gallery of references: put, drop and search while all of them go on.

- Searches take no lock while they read; what was changed meanwhile is looked at again, under the
  lock, before the answer: it is that of the moment it is given.
- A change is complete in memory within microseconds and visible to the next search. The map
  survives the process; `mark` says which state of the store it is of, and is empty in between.
- It only finds. A match counts once the store's own sealed reference of that holder was
  compared, so whoever alters this file can hide people and name nobody.
- Ids are hidden by a cipher whose key is derived from the node's.
"""

import itertools
import logging
import os
import struct
import threading
import time
from collections import deque
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge.cache.gallery.coder import Coder
from edge.cache.gallery.index import Id, SlotIndex
from edge.cache.gallery.kernels import BLOCK, search_rows
from edge.cache.gallery.layout import ROWS_MAX, Layout
from edge.cache.gallery.query import make_query
from edge.cache.sealing import Derive, IdHider
from edge.errors import StoreError

_LOG = logging.getLogger(__name__)
KEPT = 8
"""Best rows kept of a search: two are asked for, the others stand in for changed ones."""
CHANGES_MAX = 4_096
"""Changes during one search that are looked at one by one; after more it searches again."""
INLINE_ROWS = 16 * BLOCK
"""Up to so many, a search isn't worth dividing among threads."""
PARTS_PER_THREAD = 4
TRIES = 3
RECODE_GROWTH = 2
"""Codes are made anew with a new mean when there are so many times the rows it was taken of."""
_ID = struct.Struct("<QQ")
_CLOSED = b"closed:"
Template = npt.NDArray[np.int8]
Scored = tuple[float, int]
"""A cosine and its slot."""


class Gallery:
    """Implements `ReferenceSink` and the pipeline's `Gallery` for one pack.

    Attributes:
        recode: Takes the mean anew and codes every row by it, aside: searches and changes go on.
        searches, search_s: How many there were since it was opened, and their seconds together.
    """

    def __init__(
        self, path: Path, pack: str, dimensions: int, derive: Derive, *,
        boot_id: bytes = b"", threads: int = 0, rows_max: int = ROWS_MAX,
    ) -> None:
        """Open the gallery, or begin an empty one.

        Args:
            path: Its file.
            pack: Id of the pack whose references it holds.
            dimensions: Length of a template.
            derive: The node's key derivation.
            boot_id: Of the machine since it was started, up to 36 ASCII bytes: after a loss of
                power a map is believed only if it was closed.
            threads: That one search may use; 0 = as many as there are cores.
            rows_max: Bound of its size.

        Raises:
            StoreError: It can't be opened.
        """
        self.pack = pack
        self._file = Layout(path, pack, dimensions, rows_max)
        self._hider = IdHider(derive, b"gallery/ids")
        self._threads = threads or len(os.sched_getaffinity(0))
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="kanhe-gallery")
        self._lock = threading.Lock()
        self._coder = Coder(self._file, self._lock)
        self.recode = self._coder.recode
        self._changed: deque[int] = deque(maxlen=CHANGES_MAX)
        self._changes = 0
        self._behind = False
        self.searches, self.search_s = 0, 0.0
        self._boot_id = boot_id[:36]
        if self._file.mark.startswith(_CLOSED):
            self._file.mark = self._boot_id + self._file.mark.removeprefix(_CLOSED)
            self._file.flush()
        used = self._file.used
        self._index = SlotIndex(self._file.ids, used)
        self._free: list[int] = np.flatnonzero(~self._file.ids[:used].any(axis=1)).tolist()

    def __len__(self) -> int:
        """Count the references."""
        return self._index.count

    @property
    def bytes_used(self) -> int:
        """Bytes that it takes on the disk and, once searched, of memory that can be paged out."""
        return self._file.bytes_used

    def is_of(self, mark: bytes) -> bool:
        """Tell whether every change up to this mark of the store is in, and none was cut off."""
        return self._file.mark == self._boot_id + mark

    def put(self, holder_id: bytes, pack: str, row: Template) -> None:
        """Take a reference; one of another pack or length is none of this gallery's."""
        if pack != self.pack:
            return
        if row.shape != (self._file.dimensions,):
            self.drop(holder_id, pack)
            return
        norm = float(np.linalg.norm(row.astype(np.float32)))
        id_ = self._hidden(holder_id)
        file = self._file
        with self._lock:
            slot = self._index.find(id_)
            known = slot is not None
            if slot is None:
                slot = self._free.pop() if self._free else file.used
                try:
                    file.promise(slot + 1)
                except StoreError as error:
                    self._fall_behind(error)
                    return
            file.mark = b""
            self._coder.free(slot)
            file.rows[slot, : len(row)] = row
            file.inverses[slot] = 1.0 / norm if norm > 0.0 else 0.0
            file.ids[slot] = id_
            file.used = max(file.used, slot + 1)
            self._coder.encode(slot)
            if not known:
                self._index.enter(id_, slot)
            self._note(slot)

    def drop(self, holder_id: bytes, pack: str) -> None:
        """Forget a reference, its row included, if it was held."""
        if pack != self.pack:
            return
        id_ = self._hidden(holder_id)
        with self._lock:
            slot = self._index.find(id_)
            if slot is not None:
                self._clear(id_, slot)

    def settle(self, mark: bytes) -> None:
        """Know that every change up to this mark of the store was told; may take a while."""
        if len(self) >= RECODE_GROWTH * max(1, self._file.coded):
            self._coder.recode()
        self._file.promise_ahead()
        with self._lock:
            if not self._behind:
                self._file.mark = self._boot_id + mark

    def refill(self, references: Iterable[tuple[bytes, Template]], mark: bytes) -> None:
        """Hold exactly these references, all of the store's state `mark`."""
        self._behind = False
        seen = np.zeros(self._file.rows_max, bool)
        for holder_id, row in references:
            self.put(holder_id, self.pack, row)
            slot = self._index.find(self._hidden(holder_id))
            if slot is not None:
                seen[slot] = True
        with self._lock:
            for slot in np.flatnonzero(~seen[: self._file.used]).tolist():
                low, high = self._file.ids[slot].tolist()
                if low or high:
                    self._clear((low, high), slot)
        self.settle(mark)

    def search(self, template: Template) -> tuple[list[tuple[bytes, float]], int]:
        """Find the two references most like a probe, int8, (d,), in stored space.

        Returns:
            Up to two (holder id, cosine), descending, and how many references were searched.

        Raises:
            ValueError: The template isn't of this gallery's length.
        """
        if template.shape != (self._file.dimensions,):
            raise ValueError("a probe of another length than the gallery's")
        start = time.perf_counter()
        found = self._search(template)
        with self._lock:
            self.searches += 1
            self.search_s += time.perf_counter() - start
        return found

    def _search(self, template: Template) -> tuple[list[tuple[bytes, float]], int]:
        for _ in range(TRIES):
            with self._lock:
                bank = self._coder.begin()
                since, used = self._changes, self._file.used
            best: list[Scored] = []
            try:
                best = self._scan(template, used, bank)
            finally:
                with self._lock:
                    self._coder.end(bank)
                    found = self._judge(best, template, since)
            if found is not None:
                return found
        # Too much changes at once: the last try holds writers off, so that an answer comes.
        with self._lock:
            best = self._scan(template, self._file.used, self._file.active)
            found = self._judge(best, template, self._changes)
        assert found is not None
        return found

    def warm(self) -> None:
        """Compile what the first change and the first search would wait for."""
        self._coder.warm()
        self._file.promise_ahead()
        self._search(np.ones(self._file.dimensions, np.int8))

    def close(self) -> None:
        """Bring it to the disk and let go of it."""
        self._pool.shutdown(wait=True)
        self._coder.stop()
        with self._lock:
            self._file.flush()
            if self._file.mark:
                self._file.mark = _CLOSED + self._file.mark.removeprefix(self._boot_id)
                self._file.flush()
            self._file.close()

    def _scan(self, template: Template, used: int, bank: int) -> list[Scored]:
        """Give the best rows as they were while they were read, descending."""
        file, coded = self._file, self._file.banks[bank]
        query = make_query(template, coded.mean)
        bound = np.full(1, -2.0, np.float32)

        def part(begin: int, end: int) -> list[Scored]:
            scores, slots = np.empty(KEPT, np.float32), np.empty(KEPT, np.int64)
            search_rows(file.rows, file.inverses, coded.codes, coded.factors, coded.bases,
                        *query, begin, end, bound, scores, slots)
            return [item for item in zip(scores.tolist(), slots.tolist(), strict=True)
                    if item[1] >= 0]

        if used <= INLINE_ROWS:
            return part(0, used)
        size = -(-used // (self._threads * PARTS_PER_THREAD * BLOCK)) * BLOCK
        begins = range(0, used, size)
        ends = [min(used, begin + size) for begin in begins]
        return sorted(itertools.chain(*self._pool.map(part, begins, ends)), reverse=True)[:KEPT]

    def _judge(
        self, best: list[Scored], template: Template, since: int
    ) -> tuple[list[tuple[bytes, float]], int] | None:
        """Bring a scan up to now, under the lock; None if too much was changed meanwhile."""
        missed = self._changes - since
        if missed > CHANGES_MAX:
            return None
        touched = set(itertools.islice(reversed(self._changed), missed))
        kept = [item for item in best if item[1] not in touched]
        if len(best) - len(kept) > KEPT - 2:
            return None
        file, probe = self._file, template.astype(np.float32)
        inverse = 1.0 / max(float(np.linalg.norm(probe)), 1e-12)
        for slot in touched:
            if self._coder.holds(slot):
                dot = float(file.rows[slot, : len(probe)].astype(np.float32) @ probe)
                kept.append((dot * float(file.inverses[slot]) * inverse, slot))
        kept.sort(reverse=True)
        found = [(self._hider.reveal(_ID.pack(*file.ids[slot].tolist())), score)
                 for score, slot in kept[:2]]
        return found, self._index.count

    def _clear(self, id_: Id, slot: int) -> None:
        file = self._file
        file.mark = b""
        self._coder.free(slot)
        self._index.remove(id_)
        file.ids[slot] = 0
        file.rows[slot] = 0
        self._free.append(slot)
        self._note(slot)

    def _note(self, slot: int) -> None:
        self._changed.append(slot)
        self._changes += 1

    def _hidden(self, holder_id: bytes) -> Id:
        low, high = _ID.unpack(self._hider.hide(holder_id))
        return low, high

    def _fall_behind(self, error: StoreError) -> None:
        """Say once that references are missing; the next start takes them up."""
        self._file.mark = b""
        if not self._behind:
            _LOG.error("gallery.behind", extra={"why": str(error)})
        self._behind = True
