"""Building a store of millions of records at once, beside the one in use.

- LMDB is quickest, and its file smallest, when keys come in order; hidden ids come in none. So
  records are first sealed into runs on disk, by the first bits of their key, then each run is
  sorted and appended. Memory holds one part and one run.
- Runs hold what the store will hold, sealed as it will be: nothing is on disk in clear.
- References are rotated into the site's space many at a time.
- The folder appears under its final name when all of it is on the disk.
- Not here: what is believed (edge.sync.snapshot), and putting the store in use (LmdbStore.adopt).
"""

import os
import shutil
import struct
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from edge.cache.holdings import TABLE as _HOLDINGS
from edge.cache.lmdb_env import Environment, Transaction
from edge.cache.protector import Counts, Site
from edge.cache.references import COUNTS_KEY, SITE_KEY
from edge.cache.references import TABLE as _REFERENCES
from edge.cache.sealing import ID_BYTES, NONCE_BYTES, Derive, IdHider
from edge.cache.store import MAP_BYTES, MAP_BYTES_MAX, TABLES
from edge.errors import StoreError
from edge.hotpath import renewal
from edge.protocol.feed import (
    Change,
    PutCredential,
    PutGate,
    PutPolicy,
    PutReference,
    PutStatus,
)
from edge.protocol.records import ReferenceRecord, Status

RUNS = 64
"""Runs of a table: of 6.7 million credentials each holds some 30 MB."""
COMMIT_ITEMS = 4_000
"""Items that are flushed together, some 2 MB: whoever flushes meanwhile on the same disk, as the
journal does before each answer, waits for all that was being written."""
_HEAD = struct.Struct(">II")
"""In a run: lengths of key and value, before them."""
_CREDENTIALS, _STATUS, _POLICIES, _GATES, _META = (
    b"credentials", b"status", b"policies", b"gates", b"meta")
_Pair = tuple[bytes, bytes]


class BulkStore:
    """A store in the making."""

    def __init__(self, folder: Path, derive: Derive, site: Site) -> None:
        """Begin anew; what an earlier try left is removed.

        Args:
            folder: Where the finished store is to be.
            derive: The node's key derivation.
            site: Generation and secret that references are protected with.

        Raises:
            StoreError: The folder can't be made.
        """
        self._folder, self._part = folder, folder.with_name(folder.name + ".part")
        self._runs = folder.with_name(folder.name + ".runs")
        self._site = site
        self._aead = {table: AESGCM(derive(b"store/" + table)) for table in TABLES}
        self._hide_all = IdHider(derive).hide_all
        self._encode = msgspec.msgpack.Encoder().encode
        self._rotations: dict[tuple[str, int], renewal.Values] = {}
        self._packs: Counter[str] = Counter()
        self._small: list[tuple[bytes, bytes, bytes]] = []
        try:
            for path in (folder, self._part, self._runs):
                shutil.rmtree(path, ignore_errors=True)
            self._runs.mkdir(parents=True, mode=0o700)
        except OSError as error:
            raise StoreError(f"{self._runs}: {error.strerror}") from error

    def add(self, changes: Sequence[Change]) -> None:
        """Take in changes that put; which of two with the same key stays is open.

        Raises:
            StoreError: The disk is full or failing.
        """
        credentials, references, statuses = [], [], []
        for change in changes:
            if isinstance(change, PutCredential):
                credentials.append(change.credential)
            elif isinstance(change, PutReference):
                references.append(change.reference)
            elif isinstance(change, PutStatus):
                if change.status.status is not Status.VALID:
                    statuses.append(change.status)
            elif isinstance(change, PutPolicy):
                self._small.append((
                    _POLICIES, change.policy.scene.encode(), self._encode(change.policy)))
            elif isinstance(change, PutGate):
                self._small.append((
                    _GATES, change.gate.gate_id.encode(), self._encode(change.gate)))
        keys = self._hide_all([item.credential_id for item in credentials])
        self._spool(_CREDENTIALS, keys, [self._encode(item) for item in credentials])
        holders = self._hide_all([item.holder_id for item in credentials])
        self._write_runs(_HOLDINGS, (
            (holder + key, b"") for holder, key in zip(holders, keys, strict=True)))
        self._spool(_STATUS, self._hide_all([item.credential_id for item in statuses]),
                    [self._encode(item) for item in statuses])
        self._add_references(references)

    def finish(self, cursor: int, meta: Mapping[str, bytes]) -> None:
        """Sort and append every run, and give the folder its name.

        Args:
            cursor: Number of the first change not held.
            meta: Values to keep beside the records.

        Raises:
            StoreError: The disk is full or failing.
        """
        env = Environment(
            self._part, TABLES, map_bytes=MAP_BYTES, map_bytes_max=MAP_BYTES_MAX)
        faces = 0
        try:
            for table in (_CREDENTIALS, _HOLDINGS, _REFERENCES, _STATUS):
                for run in range(RUNS):
                    items = self._run(table, run)
                    for first in range(0, len(items), COMMIT_ITEMS):
                        env.write(partial(_append, table=env.tables[table],
                                          items=items[first : first + COMMIT_ITEMS]))
                    if table == _REFERENCES:
                        faces += len({key[:ID_BYTES] for key, _ in items})
            self._put_small(env, faces, {**meta, "cursor": cursor.to_bytes(8, "big")})
            env.flush()
        finally:
            env.close()
        try:
            self._part.replace(self._folder)
        except OSError as error:
            raise StoreError(f"{self._folder}: {error.strerror}") from error
        shutil.rmtree(self._runs, ignore_errors=True)

    def _add_references(self, references: list[ReferenceRecord]) -> None:
        alike: dict[tuple[str, int], list[ReferenceRecord]] = {}
        for record in references:
            alike.setdefault((record.pack, len(record.template)), []).append(record)
        for (pack, dimensions), records in alike.items():
            matrix = self._rotations.get((pack, dimensions))
            if matrix is None:
                matrix = renewal.renewal_matrix(None, renewal.derive_rotation(
                    self._site.secret, pack, dimensions))
                self._rotations[pack, dimensions] = matrix
            rows = np.frombuffer(b"".join(item.template for item in records), np.int8)
            coarse, fine = renewal.renew(rows.reshape(-1, dimensions), None, matrix)
            suffix = pack.encode()
            values = [
                self._encode(msgspec.structs.replace(
                    item, template=coarse[row].tobytes(), fine=fine[row].tobytes(),
                    generation=self._site.generation))
                for row, item in enumerate(records)
            ]
            keys = self._hide_all([item.holder_id for item in records])
            self._spool(_REFERENCES, [key + suffix for key in keys], values)
            self._packs[pack] += len(records)

    def _sealed(self, table: bytes, keys: list[bytes], values: list[bytes]) -> Iterator[_Pair]:
        nonces, encrypt = os.urandom(NONCE_BYTES * len(keys)), self._aead[table].encrypt
        for number, (key, value) in enumerate(zip(keys, values, strict=True)):
            nonce = nonces[number * NONCE_BYTES:(number + 1) * NONCE_BYTES]
            yield key, nonce + encrypt(nonce, value, table + key)

    def _spool(self, table: bytes, keys: list[bytes], values: list[bytes]) -> None:
        self._write_runs(table, self._sealed(table, keys, values))

    def _write_runs(self, table: bytes, rows: Iterable[_Pair]) -> None:
        runs: dict[int, list[bytes]] = {}
        for key, sealed in rows:
            runs.setdefault(key[0] * RUNS >> 8, []).append(
                _HEAD.pack(len(key), len(sealed)) + key + sealed)
        try:
            for run, pieces in runs.items():
                with (self._runs / f"{table.decode()}-{run}").open("ab") as file:
                    file.write(b"".join(pieces))
                    file.flush()
                    # Begins to write it out now, a little at a time: left to the system it comes
                    # as a flood, and the journal's flushes take a quarter of a second meanwhile.
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        except OSError as error:
            raise StoreError(f"{self._runs}: {error.strerror}") from error

    def _run(self, table: bytes, run: int) -> list[_Pair]:
        path = self._runs / f"{table.decode()}-{run}"
        if not path.exists():
            return []
        data, at, found = path.read_bytes(), 0, {}
        while at < len(data):
            key, value = _HEAD.unpack_from(data, at)
            middle = at + _HEAD.size + key
            found[data[at + _HEAD.size:middle]] = data[middle:middle + value]
            at = middle + value
        path.unlink()
        return sorted(found.items())

    def _put_small(self, env: Environment, faces: int, meta: Mapping[str, bytes]) -> None:
        counts = Counts(faces, dict(self._packs))
        rows = [
            *self._small, *((_META, name.encode(), value) for name, value in meta.items()),
            (_META, SITE_KEY, self._encode(self._site)),
            (_META, COUNTS_KEY, self._encode(counts)),
        ]

        def work(txn: Transaction) -> None:
            for table, key, value in rows:
                nonce = os.urandom(NONCE_BYTES)
                sealed = nonce + self._aead[table].encrypt(nonce, value, table + key)
                txn.put(key, sealed, db=env.tables[table])

        env.write(work)


def _append(txn: Transaction, table: object, items: list[_Pair]) -> None:
    with txn.cursor(db=table) as cursor:
        cursor.putmulti(items, append=True)
