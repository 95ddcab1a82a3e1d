"""The one owner of LMDB: environments, transactions, errors.

- An environment belongs to one process at a time (a lock that ends with it); others may read.
- Foreign errors become `StoreError` here, with what to do.
- A full map grows up to its bound and the write is tried again.
- Not here: what the tables mean.
"""

import errno
import itertools
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, cast

import lmdb

from edge.errors import StoreError
from edge.files import hold_file

_T = TypeVar("_T")
_P = ParamSpec("_P")
READERS_MAX = 126
CHUNK_ITEMS = 4_096
OWNER_FILE, DATA_FILE, COMPACT_FOLDER = "owner", "data.mdb", "compact"
MAP_GROWTH = 2


class Transaction(Protocol):
    """What a write transaction offers; `db` is one of `Environment.tables`."""

    def get(self, key: bytes, *, db: object) -> bytes | None:
        """Read one value."""
        ...

    def put(self, key: bytes, value: bytes, *, db: object) -> bool:
        """Write one value."""
        ...

    def delete(self, key: bytes, *, db: object) -> bool:
        """Delete one value."""
        ...

    def drop(self, db: object, delete: bool) -> None:
        """Empty a table."""
        ...

    def cursor(self, *, db: object) -> Any:  # noqa: ANN401 - the driver's own
        """Open a cursor on a table."""
        ...


class Environment:
    """One LMDB environment in a folder of its own."""

    def __init__(
        self, path: Path, tables: tuple[bytes, ...], *, map_bytes: int, map_bytes_max: int,
        beside: bool = False,
    ) -> None:
        """Open or make it.

        Args:
            path: Its folder.
            tables: Named tables.
            map_bytes: Size of the map to begin with.
            map_bytes_max: Bound of its growth.
            beside: Read what another process owns; nothing is made and nothing can be written.

        Raises:
            StoreError: The folder can't be opened as an environment.
        """
        self._path = path
        self._map_bytes_max = map_bytes_max
        self._owner, self._beside = -1, beside
        try:
            if not beside:
                path.mkdir(parents=True, exist_ok=True, mode=0o700)
                self._owner = own_folder(path)
            self._open(tables, map_bytes)
        except (lmdb.Error, OSError) as error:
            self._disown()
            raise self._translate(error, "opened") from error

    @property
    def bytes_used(self) -> int:
        """Bytes that the file takes on the disk; a sparse map counts as what it holds."""
        try:
            return (self._path / "data.mdb").stat().st_blocks * 512
        except OSError:
            return 0

    def get(self, table: bytes, key: bytes) -> bytes | None:
        """Read one value in a transaction of its own."""
        try:
            with self._env.begin(db=self.tables[table]) as txn:
                value: bytes | None = txn.get(key)
                return value
        except lmdb.Error as error:
            raise self._translate(error, "read") from error

    def get_pairs(
        self, first: bytes, second: bytes, keys: Sequence[bytes]
    ) -> list[tuple[bytes | None, bytes | None]]:
        """Read keys of two tables in one transaction."""
        one, other = self.tables[first], self.tables[second]
        try:
            with self._env.begin() as txn:
                get = txn.get
                return [(get(key, db=one), get(key, db=other)) for key in keys]
        except lmdb.Error as error:
            raise self._translate(error, "read") from error

    def items(self, table: bytes) -> list[tuple[bytes, bytes]]:
        """Read a whole table, in the order of keys."""
        try:
            with self._env.begin(db=self.tables[table]) as txn:
                return list(txn.cursor())
        except lmdb.Error as error:
            raise self._translate(error, "read") from error

    def keys(self, table: bytes, prefix: bytes, most: int) -> list[bytes]:
        """Give up to `most` keys that begin with `prefix`, in their order."""
        try:
            with self._env.begin(db=self.tables[table]) as txn, txn.cursor() as cursor:
                cursor.set_range(prefix)
                found = itertools.takewhile(
                    lambda key: key.startswith(prefix), cursor.iternext(values=False))
                return list(itertools.islice(found, most))
        except lmdb.Error as error:
            raise self._translate(error, "read") from error

    def chunks(
        self, table: bytes, *, values: bool = True, txn: Transaction | None = None
    ) -> Iterator[list[tuple[bytes, bytes]]]:
        """Read a table of any size piece by piece, in the order of keys.

        Args:
            table: Its name.
            values: Whether values are read; otherwise they are empty.
            txn: To read within, which may rewrite what was read; otherwise each piece is as it was
                at one moment, and between two of them others may write.
        """
        last: bytes | None = None
        while True:
            chunk = self._chunk(table, last, values, txn)
            if chunk:
                yield chunk
            if len(chunk) < CHUNK_ITEMS:
                return
            last = chunk[-1][0]

    def _chunk(
        self, table: bytes, last: bytes | None, values: bool, txn: Transaction | None
    ) -> list[tuple[bytes, bytes]]:
        if txn is None:
            try:
                with self._env.begin() as own:
                    return self._chunk(table, last, values, cast(Transaction, own))
            except lmdb.Error as error:
                raise self._translate(error, "read") from error
        with txn.cursor(db=self.tables[table]) as cursor:
            # No key lies between one and the same with a zero byte behind it.
            if not (cursor.first() if last is None else cursor.set_range(last + b"\0")):
                return []
            keys = itertools.islice(cursor.iternext(keys=True, values=values), CHUNK_ITEMS)
            return list(keys) if values else [(key, b"") for key in keys]

    def count(self, table: bytes) -> int:
        """Count a table's entries."""
        try:
            with self._env.begin() as txn:
                return int(txn.stat(self.tables[table])["entries"])
        except lmdb.Error as error:
            raise self._translate(error, "read") from error

    def write(
        self, work: Callable[Concatenate[Any, _P], _T], *args: _P.args, **kwargs: _P.kwargs
    ) -> _T:
        """Run `work(transaction, …)` in one write transaction; all of it or nothing.

        Raises:
            StoreError: Nothing was written.
        """
        while True:
            try:
                with self._env.begin(write=True) as txn:
                    return work(txn, *args, **kwargs)
            except lmdb.MapFullError as error:
                self._grow(error)
            except (lmdb.Error, OSError) as error:
                raise self._translate(error, "written") from error

    def flush(self) -> None:
        """Bring what was written to the disk."""
        try:
            self._env.sync(True)
        except lmdb.Error as error:
            raise self._translate(error, "written") from error

    def forget_dead_readers(self) -> None:
        """Free the places of readers whose process is gone: what they read can't be reused."""
        self._env.reader_check()

    def compact(self) -> None:
        """Rewrite the file without what was deleted or replaced; nobody may be inside.

        Atomic: a kill leaves the old file or the new one. What the old one's blocks held is the
        disk's to forget.

        Raises:
            StoreError: The file stays as it was.
        """
        part = self._path / COMPACT_FOLDER
        data = part / DATA_FILE
        try:
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(mode=0o700)
            self._env.copy(str(part), compact=True)
            with data.open("rb+") as file:
                os.fsync(file.fileno())
            size, tables = int(self._env.info()["map_size"]), tuple(self.tables)
            self._env.close()
            data.replace(self._path / DATA_FILE)
            self._open(tables, size)
            self.flush()
            shutil.rmtree(part)
        except (lmdb.Error, OSError) as error:
            raise self._translate(error, "rewritten without what was replaced") from error

    def moved(self, path: Path) -> None:
        """Take note that its folder was renamed; what is open stays open."""
        self._path = path

    def close(self) -> None:
        """Close the environment; nobody may be inside it."""
        self._env.close()
        self._disown()

    def _open(self, tables: tuple[bytes, ...], map_bytes: int) -> None:
        own = not self._beside
        self._env = lmdb.open(
            str(self._path), map_size=map_bytes, max_dbs=len(tables), max_readers=READERS_MAX,
            max_spare_txns=4, readonly=not own, create=own)
        self.tables = {name: self._env.open_db(name, create=own) for name in tables}

    def _disown(self) -> None:
        if self._owner >= 0:
            os.close(self._owner)
            self._owner = -1

    def _grow(self, error: lmdb.Error) -> None:
        size = int(self._env.info()["map_size"])
        if size >= self._map_bytes_max:
            raise StoreError(
                f"{self._path} has reached its bound of {self._map_bytes_max} bytes: raise it in "
                "the configuration"
            ) from error
        size = min(self._map_bytes_max, size * MAP_GROWTH)
        try:
            self._env.set_mapsize(size)
        except (lmdb.Error, OSError) as failed:
            raise self._translate(failed, "grown") from failed

    def _translate(self, error: Exception, doing: str) -> StoreError:
        if isinstance(error, lmdb.DiskError) or getattr(error, "errno", 0) == errno.ENOSPC:
            return StoreError(f"{self._path} can't be {doing}: the disk is full or failing")
        if isinstance(error, lmdb.InvalidError | lmdb.CorruptedError | lmdb.VersionMismatchError):
            return StoreError(
                f"{self._path} is damaged: stop the node, move that folder away and start again; "
                "the journal isn't touched by this"
            )
        return StoreError(f"{self._path} can't be {doing}: {error}")


def own_folder(path: Path) -> int:
    """Be the only one in a folder, until the descriptor is closed or the process ends.

    A node answers from what it read, so nobody else may write there.

    Raises:
        StoreError: Another process is.
        OSError: The folder isn't there, or without rights.
    """
    owner = hold_file(path / OWNER_FILE)
    if owner is None:
        raise StoreError(f"{path} is in use by another process: stop the node that runs on it")
    return owner
