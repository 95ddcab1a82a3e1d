"""`lookup`: credential and reference by id, typed, against the bare reads and openings.

- Ours: the store's two lookups: ids hidden, values read, opened, decoded. Theirs: two LMDB gets in
  one transaction and two AES-256-GCM openings of the same bytes, their keys known beforehand.
- The city's data is made once and kept in `var/bench` (6.7 million credentials and 2.23 million
  references, 3 GB); it is sorted by hidden id first, so that LMDB is filled in order.
- Ids are drawn anew for every round; warm: as many reads were done before.
"""

import hashlib
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bench.harness import Result, interleave
from edge.cache.sealing import NONCE_BYTES, IdHider
from edge.cache.store import LmdbStore
from edge.node_key import NodeKey, load_or_create_node_key
from edge.protocol.feed import PutCredential, PutReference
from edge.protocol.records import CredentialRecord, ReferenceRecord

NAME = "lookup"
AGAINST = "two bare LMDB gets in one transaction + two AESGCM openings of the same bytes"
CREDENTIALS, SMALL_CREDENTIALS = 6_700_000, 20_000
A_HOLDER = 3
BATCH = 100_000
READS, SMALL_READS = 20_000, 2_000
ROUNDS, SMALL_ROUNDS = 15, 9
PACK = "bench"
FOLDER = Path("var/bench")
FREE_BYTES_MIN = 8 * 1024**3


def run(small: bool) -> Result:
    """Look up random ids."""
    count = SMALL_CREDENTIALS if small else CREDENTIALS
    folder = FOLDER / f"lookup-{count}"
    FOLDER.mkdir(parents=True, exist_ok=True)
    if not small and not folder.exists() and shutil.disk_usage(FOLDER).free < FREE_BYTES_MIN:
        return Result(
            measure=NAME, ours=None, theirs=None, unit="us", ratio=None, against=AGAINST, n=0,
            settings={}, valid=False, why="8 GiB of free disk are needed for the city's data")
    key = load_or_create_node_key(folder / "node.key")
    store = LmdbStore(folder / "cache", key.derive)
    try:
        if store.cursor() != count:
            _fill(store, key, count)
        return _measure(store, key, count, small=small)
    finally:
        store.close()


def _measure(store: LmdbStore, key: NodeKey, count: int, *, small: bool) -> Result:
    reads, rounds = (SMALL_READS, SMALL_ROUNDS) if small else (READS, ROUNDS)
    drawn = random.Random(1)
    hide = IdHider(key.derive).hide
    environment = store._env  # the same environment can't be opened twice in a process
    tables = environment.tables
    opens = [AESGCM(key.derive(b"store/" + table)).decrypt
             for table in (b"credentials", b"references")]
    chosen: list[tuple[bytes, bytes]] = []
    hidden: list[tuple[bytes, bytes]] = []
    wrong = 0

    def draw() -> None:
        """Choose credentials and holders, clear and hidden."""
        numbers = [drawn.randrange(count) for _ in range(reads)]
        chosen[:] = [(_id(b"c", n), _id(b"h", n // A_HOLDER)) for n in numbers]
        hidden[:] = [(hide(one), hide(other) + PACK.encode()) for one, other in chosen]

    def _ours() -> None:
        nonlocal wrong
        for credential_id, holder_id in chosen:
            credential = store.credential(credential_id)
            wrong += credential is None or store.reference(holder_id, PACK) is None

    def _theirs() -> None:
        begin = environment._env.begin
        for pair in hidden:
            with begin() as txn:
                for name, open_, place in zip(
                        (b"credentials", b"references"), opens, pair, strict=True):
                    sealed = txn.get(place, db=tables[name]) or b""
                    open_(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], name + place)

    pairs = []
    for _ in range(rounds):
        draw()
        pairs.append(interleave(_ours, _theirs, 1, reads))
    ours_us = sorted(pair[0] for pair in pairs)[rounds // 2] * 1e6
    theirs_us = sorted(pair[1] for pair in pairs)[rounds // 2] * 1e6
    return Result(
        measure=NAME, ours=round(ours_us, 2), theirs=round(theirs_us, 2), unit="us",
        ratio=round(ours_us / theirs_us, 3), against=AGAINST, n=reads * rounds,
        settings={"credentials": count, "references": -(-count // A_HOLDER)},
        valid=wrong == 0, why=f"{wrong} not found" if wrong else "",
    )


def _fill(store: LmdbStore, key: NodeKey, count: int) -> None:
    """Fill in the order of hidden ids; the cursor says whether it was finished."""
    for batch in _credentials(key, count):
        store.apply([PutCredential(_credential(number)) for number in batch], 0, {})
    for batch in _references(key, count):
        store.apply([PutReference(_reference(number)) for number in batch], 0, {})
    store.apply([], count, {})


def _credentials(key: NodeKey, count: int) -> Iterator[list[int]]:
    return _batches(key, b"c", count)


def _references(key: NodeKey, count: int) -> Iterator[list[int]]:
    return _batches(key, b"h", -(-count // A_HOLDER))


def _batches(key: NodeKey, kind: bytes, count: int) -> Iterator[list[int]]:
    hide = IdHider(key.derive).hide
    order = sorted(range(count), key=lambda number: hide(_id(kind, number)))
    for first in range(0, count, BATCH):
        yield order[first : first + BATCH]


def _credential(number: int) -> CredentialRecord:
    return CredentialRecord(
        credential_id=_id(b"c", number), holder_id=_id(b"h", number // A_HOLDER),
        type="resident_id", valid_from_s=0, valid_until_s=None, updated_s=1,
        fields={"name": "测试人", "id_number": f"{number:018d}", "address": "x" * 60})


def _reference(number: int) -> ReferenceRecord:
    holder = _id(b"h", number)
    return ReferenceRecord(holder_id=holder, pack=PACK, template=holder * 8, created_s=1)


def _id(kind: bytes, number: int) -> bytes:
    return hashlib.sha256(b"%b%d" % (kind, number)).digest()[:16]
