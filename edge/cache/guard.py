"""The replay guard: a presentation is spent once, by one atomic check-and-set.

- Per credential the highest spent step counts; every step at or below it is spent.
- Entries live in two buckets of `BUCKET_STEPS`; when a new one begins the older is
  forgotten at once, and every step up to its end is refused for ever (the floor).
- The table survives the process (a file mapping), not the machine: under another boot id, or
  without its memory, every step up to the restart's own window is refused.
- The same showing (a gate's request) of the same step is not a second one.
"""

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edge.cache.lmdb_env import Environment, Transaction
from edge.cache.sealing import Derive, IdHider
from edge.errors import StoreError

if TYPE_CHECKING:  # redis-py is only loaded where there is a Redis
    from edge.cache.site.memory import SiteMemory

BUCKET_STEPS = 64
STEPS_BACK_MAX = BUCKET_STEPS - 2
"""The widest drift window that the guard's memory covers."""
MAP_BYTES = 64 * 1024 * 1024
MAP_BYTES_MAX = 1024 * 1024 * 1024
_STATE = struct.Struct(">QQ36s")
_ENTRY = struct.Struct(">Q16s")
_STATE_KEY = b"state"
_TABLES = (b"even", b"odd", b"state")


class LmdbReplayGuard:
    """Implements the pipeline's `ReplayGuard` for one node.

    Attributes:
        forgot: What was spent before this start isn't remembered.
        site: What the site's nodes share, None for a node on its own. It is asked after this
            memory and never instead of it.
    """

    def __init__(
        self, path: Path, derive: Derive, *, boot_id: bytes, restart_floor: int,
        map_bytes_max: int = MAP_BYTES_MAX,
    ) -> None:
        """Open the memory, or begin without one.

        Args:
            path: Its folder.
            derive: The node's key derivation.
            boot_id: Of the machine since it was started, up to 36 ASCII bytes.
            restart_floor: Highest step to refuse if there is no memory to believe:
                `n_restart + steps_ahead`, or 0 for a node that never verified anything.
            map_bytes_max: Bound of the table's size.

        Raises:
            StoreError: It can't be opened.
        """
        self._env = Environment(
            path, _TABLES, map_bytes=MAP_BYTES, map_bytes_max=map_bytes_max, durable=False
        )
        self._buckets = [self._env.tables[name] for name in _TABLES[:2]]
        self._state = self._env.tables[_TABLES[2]]
        hider = IdHider(derive)
        self._hide_all, self._reveal = hider.hide_all, hider.reveal
        self.site: SiteMemory | None = None
        self._boot_id = boot_id[:36].ljust(36, b"\0")
        self.forgot = False
        self._env.write(lambda txn: self._begin(txn, restart_floor))

    @property
    def scope(self) -> Literal["node", "site"]:
        """How far this memory reaches; what the site's reaches is its own to say."""
        return "node"

    @property
    def floor(self) -> int:
        """The highest step that is refused whatever the credential."""
        state = self._env.get(b"state", _STATE_KEY)
        if state is None:
            raise StoreError("the replay guard lost its state: restart the node")
        return int(_STATE.unpack(state)[1])

    def spend(self, credential_id: bytes, step: int, showing: bytes, now_step: int) -> bool:
        """Spend one presentation once; see `spend_all`."""
        return self.spend_all([(credential_id, step, showing)], now_step)[0]

    def spend_all(self, spends: Sequence[tuple[bytes, int, bytes]], now_step: int) -> list[bool]:
        """Spend presentations once each, all in one transaction; see the port.

        Raises:
            StoreError: The memory can't be written; nothing is spent, nothing may be accepted.
        """
        return self._env.write(self._spend_all, spends, now_step)

    def recent(self, step_min: int) -> Iterator[tuple[bytes, int, bytes]]:
        """Give credential id, step and showing of what was spent from that step on.

        For a worker thread; what is spent meanwhile may be missing.
        """
        for name in _TABLES[:2]:
            for chunk in self._env.chunks(name):
                for key, entry in chunk:
                    step, showing = _ENTRY.unpack(entry)
                    if step >= step_min:
                        yield self._reveal(key), step, showing

    def _spend_all(
        self, txn: Transaction, spends: Sequence[tuple[bytes, int, bytes]], now_step: int
    ) -> list[bool]:
        bucket = max([now_step, *[step for _, step, _ in spends]]) // BUCKET_STEPS
        newest, floor = self._turned(txn, bucket)
        keys, spend = self._hide_all([credential_id for credential_id, _, _ in spends]), self._spend
        return [spend(txn, key, step, showing, newest, floor)
                for key, (_, step, showing) in zip(keys, spends, strict=True)]

    def _spend(
        self, txn: Transaction, key: bytes, step: int, showing: bytes, newest: int, floor: int
    ) -> bool:
        if step <= floor:
            return False
        for table in self._buckets:
            entry = txn.get(key, db=table)
            if entry is None:
                continue
            spent, by = _ENTRY.unpack(entry)
            if spent == step:
                return bool(by == showing)
            if spent > step:
                return False
        slot = step // BUCKET_STEPS
        assert newest - 1 <= slot <= newest
        txn.put(key, _ENTRY.pack(step, showing), db=self._buckets[slot % 2])
        return True

    def close(self) -> None:
        """Close the memory, flushing what a clean stop can flush."""
        self._env.flush()
        self._env.close()

    def _begin(self, txn: Transaction, restart_floor: int) -> None:
        """Believe the memory of this boot, else start from the restart's floor."""
        state = txn.get(_STATE_KEY, db=self._state)
        newest, floor, boot_id = (0, 0, b"") if state is None else _STATE.unpack(state)
        if boot_id == self._boot_id:
            return
        self.forgot = restart_floor > 0
        for name in _TABLES[:2]:
            txn.drop(self._env.tables[name], delete=False)
        self._put_state(txn, newest, max(floor, restart_floor))

    def _turned(self, txn: Transaction, bucket: int) -> tuple[int, int]:
        """Forget what a newer bucket displaces; give newest bucket and floor."""
        state = txn.get(_STATE_KEY, db=self._state)
        assert state is not None
        newest, floor, _ = _STATE.unpack(state)
        if bucket <= newest:
            return newest, floor
        names = _TABLES[:2] if bucket > newest + 1 else (_TABLES[bucket % 2],)
        for name in names:
            txn.drop(self._env.tables[name], delete=False)
        floor = max(floor, (bucket - 1) * BUCKET_STEPS - 1)
        self._put_state(txn, bucket, floor)
        return bucket, floor

    def _put_state(self, txn: Transaction, newest: int, floor: int) -> None:
        value = _STATE.pack(newest, floor, self._boot_id)
        txn.put(_STATE_KEY, value, db=self._state)


def read_boot_id(path: Path = Path("/proc/sys/kernel/random/boot_id")) -> bytes:
    """Give what names the machine's present run; empty where it has no name."""
    try:
        return path.read_bytes().strip()
    except OSError:
        return b""
