"""The replay guard: a presentation is spent once, by one atomic check-and-set.

- Per credential the highest spent step counts; every step at or below it is spent.
- Entries live in two buckets of `BUCKET_STEPS`; when a new one begins the older is
  forgotten at once, and every step up to its end is refused for ever (the floor).
- The memory survives the process (file mappings), not the machine: under another boot id, or
  without its memory, every step up to the restart's own window is refused.
- The same showing (a gate's request) of the same step is not a second one.
"""

import mmap
import os
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edge.cache.lmdb_env import Environment, own_folder
from edge.cache.sealing import Derive, IdHider
from edge.cache.spent import SpentTable
from edge.errors import StoreError

if TYPE_CHECKING:  # redis-py is only loaded where there is a Redis
    from edge.cache.site.memory import SiteMemory

BUCKET_STEPS = 64
STEPS_BACK_MAX = BUCKET_STEPS - 2
"""The widest drift window that the guard's memory covers."""
ENTRIES_MAX = 8_000_000
"""Spent presentations that one bucket holds at most: all credentials of a city in five minutes."""
_ENTRY = struct.Struct(">Q16s")
_BOOT_BYTES = 36
_STATE_BYTES = 64
_MAGIC = int.from_bytes(b"KHSPENT1", "little")
_MADE, _NEWEST, _FLOOR = 0, 1, 2
_BOOT_AT = 24
_BEFORE = ("data.mdb", "lock.mdb")
"""What an earlier version kept here; after a roll-back it would believe that again."""
_BEFORE_BYTES = 1024 * 1024 * 1024
_BEFORE_STATE = struct.Struct(">QQ36s")


class MappedReplayGuard:
    """Implements the pipeline's `ReplayGuard` for one node.

    Attributes:
        forgot: What was spent before this start isn't remembered.
        site: What the site's nodes share, None for a node on its own. It is asked after this
            memory and never instead of it.
    """

    def __init__(
        self, path: Path, derive: Derive, *, boot_id: bytes, restart_floor: int,
        entries_max: int = ENTRIES_MAX,
    ) -> None:
        """Open the memory, or begin without one.

        Args:
            path: Its folder.
            derive: The node's key derivation.
            boot_id: Of the machine since it was started, up to 36 ASCII bytes; empty = unknown,
                so there is no memory to believe.
            restart_floor: Highest step to refuse if there is no memory to believe:
                `n_restart + steps_ahead`, or 0 for a node that never verified anything.
            entries_max: Bound of each bucket.

        Raises:
            StoreError: It can't be opened.
        """
        hider = IdHider(derive)
        self._hide_all, self._reveal = hider.hide_all, hider.reveal
        self.site: SiteMemory | None = None
        self.forgot = False
        self._path, self._spending = path, threading.Lock()
        boot_id = boot_id[:_BOOT_BYTES].ljust(_BOOT_BYTES, b"\0")
        try:
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._owner = own_folder(path)
        except OSError as error:
            raise StoreError(f"{path} can't be opened: {error.strerror}") from error
        try:
            with ExitStack() as opened:
                opened.callback(os.close, self._owner)
                self._mapped = _map_state(path / "state")
                self._state = memoryview(self._mapped)[:_BOOT_AT].cast("Q")
                opened.callback(self._unmap)
                self._buckets = []
                for name in ("even", "odd"):
                    self._buckets.append(SpentTable(path / name, entries_max))
                    opened.callback(self._buckets[-1].close)
                self._begin(boot_id, restart_floor)
                opened.pop_all()
        except OSError as error:
            raise StoreError(f"{path} can't be opened: {error.strerror}") from error
        except OverflowError as error:
            raise StoreError(f"{path} is full: {error}") from error
        except ValueError as error:
            raise StoreError(
                f"{path} is damaged: {error}. Stop the node, move that folder away and start "
                "again; the journal isn't touched by this") from error

    @property
    def scope(self) -> Literal["node", "site"]:
        """How far this memory reaches; what the site's reaches is its own to say."""
        return "node"

    @property
    def floor(self) -> int:
        """The highest step that is refused whatever the credential."""
        return self._state[_FLOOR]

    def spend(self, credential_id: bytes, step: int, showing: bytes, now_step: int) -> bool:
        """Spend one presentation once; see `spend_all`."""
        return self.spend_all([(credential_id, step, showing)], now_step)[0]

    def spend_all(self, spends: Sequence[tuple[bytes, int, bytes]], now_step: int) -> list[bool]:
        """Spend presentations once each, all together; see the port.

        Raises:
            StoreError: The memory can't be written; nothing is spent, nothing may be accepted.
        """
        with self._spending:
            try:
                return self._spend_all(spends, now_step)
            except OSError as error:
                raise StoreError(
                    f"{self._path} can't be written: {error.strerror}") from error
            except OverflowError as error:
                raise StoreError(f"{self._path} is full: {error}") from error

    def recent(self, step_min: int) -> Iterator[tuple[bytes, int, bytes]]:
        """Give credential id, highest spent step and its showing, where that is from a step on.

        Each credential comes once. For a worker thread; one that spends meanwhile may be missing.
        """
        for bucket, other in (self._buckets, self._buckets[::-1]):
            for chunk in bucket.chunks():
                for key, entry in chunk:
                    shard = key[0]
                    # An entry begins with its step: the greater of two is the later.
                    if (bucket.found[shard].get(key) != entry
                            or other.found[shard].get(key, b"") > entry):
                        continue
                    step, showing = _ENTRY.unpack(entry)
                    if step >= step_min:
                        yield self._reveal(key), step, showing

    def _spend_all(self, spends: Sequence[tuple[bytes, int, bytes]], now_step: int) -> list[bool]:
        newest, floor = self._turned(
            max([now_step, *[step for _, step, _ in spends]]) // BUCKET_STEPS)
        for bucket in self._buckets:
            bucket.reserve(len(spends))
        keys = self._hide_all([credential_id for credential_id, _, _ in spends])
        spend = self._spend
        return [spend(key, step, showing, newest, floor)
                for key, (_, step, showing) in zip(keys, spends, strict=True)]

    def _spend(self, key: bytes, step: int, showing: bytes, newest: int, floor: int) -> bool:
        if step <= floor:
            return False
        shard = key[0]
        for bucket in self._buckets:
            entry = bucket.found[shard].get(key)
            if entry is None:
                continue
            spent, by = _ENTRY.unpack(entry)
            if spent == step:
                return bool(by == showing)
            if spent > step:
                return False
        slot = step // BUCKET_STEPS
        assert newest - 1 <= slot <= newest
        self._buckets[slot % 2].add(key, _ENTRY.pack(step, showing))
        return True

    def close(self) -> None:
        """Close the memory, flushing what a clean stop can flush."""
        for bucket in self._buckets:
            bucket.close()
        self._mapped.flush()
        self._unmap()
        os.close(self._owner)

    def _unmap(self) -> None:
        self._state.release()
        self._mapped.close()

    def _begin(self, boot_id: bytes, restart_floor: int) -> None:
        """Believe the memory of this boot, else start from the restart's floor.

        The floor is raised first: wherever this is cut off, nothing spent is taken for fresh.
        """
        state, boot = self._state, slice(_BOOT_AT, _BOOT_AT + _BOOT_BYTES)
        if state[_MADE] not in (0, _MAGIC):
            raise ValueError("its state isn't one")
        if (self._path / _BEFORE[0]).exists():
            self._take_over(boot)
        # A run without a name may be another one each time.
        if self._mapped[boot] != boot_id or not boot_id.strip(b"\0"):
            state[_FLOOR] = max(state[_FLOOR], restart_floor)
            self.forgot = restart_floor > 0
            for bucket in self._buckets:
                bucket.clear()
            self._mapped[boot] = boot_id
        state[_MADE] = _MAGIC
        for name in _BEFORE:
            (self._path / name).unlink(missing_ok=True)

    def _take_over(self, boot: slice) -> None:
        """Add what an earlier version remembered, which kept it in LMDB, and believe its boot."""
        before = Environment(self._path, (b"even", b"odd", b"state"), map_bytes=_BEFORE_BYTES,
                             map_bytes_max=_BEFORE_BYTES, beside=True)
        try:
            known = before.get(b"state", b"state")
            if known is None:
                return
            for name, bucket in zip((b"even", b"odd"), self._buckets, strict=True):
                for chunk in before.chunks(name):
                    bucket.reserve(len(chunk))
                    for key, entry in chunk:
                        # A clock that was set back may have had it spend lower steps.
                        if entry > bucket.found[key[0]].get(key, b""):
                            bucket.add(key, entry)
            newest, floor, self._mapped[boot] = _BEFORE_STATE.unpack(known)
            self._state[_FLOOR] = max(self._state[_FLOOR], floor)
            self._state[_NEWEST] = max(self._state[_NEWEST], newest)
        finally:
            before.close()

    def _turned(self, bucket: int) -> tuple[int, int]:
        """Forget what a newer bucket displaces; give newest bucket and floor.

        The floor is raised first, and a table is emptied last: what is left of it by a process
        that is killed in between is below the floor.
        """
        state = self._state
        newest = state[_NEWEST]
        if bucket > newest:
            state[_FLOOR] = max(state[_FLOOR], (bucket - 1) * BUCKET_STEPS - 1)
            state[_NEWEST] = bucket
            for slot in (bucket - 1, bucket) if bucket > newest + 1 else (bucket,):
                self._buckets[slot % 2].clear()
            newest = bucket
        return newest, state[_FLOOR]


def _map_state(path: Path) -> mmap.mmap:
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.posix_fallocate(fd, 0, _STATE_BYTES)
        return mmap.mmap(fd, _STATE_BYTES)
    finally:
        os.close(fd)


def read_boot_id(path: Path = Path("/proc/sys/kernel/random/boot_id")) -> bytes:
    """Give what names the machine's present run; empty where it has no name."""
    try:
        return path.read_bytes().strip()
    except OSError:
        return b""
