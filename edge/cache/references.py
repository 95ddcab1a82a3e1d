"""The references at rest: protected, counted, renewed, and told to the rooms beside.

- The platform sends templates as their pack makes them. Here they are rotated by the site's secret
  (`edge.hotpath.renewal`) before they are stored: none is at rest as it came.
- The secret is random, of one generation, sealed in the store. Renewal draws the next one and
  rotates every reference in one transaction, which ends the old secret: whenever it is killed, all
  is of one generation.
- A sink is told after the transaction that changed a reference, in the feed's order.
- Not here: which pack's comparison counts, and how (edge.hotpath.holder).
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from edge.cache.lmdb_env import Environment, Transaction
from edge.cache.protector import Counts, Protector, Site
from edge.cache.regions import NONE, Regions
from edge.cache.sealing import ID_BYTES, Derive, IdHider, Sealer
from edge.errors import StoreError
from edge.hotpath import renewal
from edge.hotpath.holder import Probe, Template, admits
from edge.protocol.feed import DropReference, PutReference
from edge.protocol.records import ReferenceRecord

TABLE = b"references"
SITE_KEY, COUNTS_KEY = b"references.site", b"references.counts"
"""In the store's table of small values; sync's names have no such prefix."""
Progress = Callable[[int, int, str], None]
"""Hears of long work: done, of how many, doing what."""
_RECORD = msgspec.msgpack.Decoder(ReferenceRecord)
_encode = msgspec.msgpack.Encoder().encode


class ReferenceSink(Protocol):
    """Follows the references of one purpose, on the thread that writes; raises nothing.

    Make it known to the store before reading `LmdbStore.references`, so that nothing falls between;
    the same row may then come twice.
    """

    def put(self, holder_id: bytes, pack: str, row: npt.NDArray[np.int8]) -> None:
        """Take a reference, new or in place of an older one; `row` is int8, shape (d,)."""
        ...

    def drop(self, holder_id: bytes, pack: str) -> None:
        """Forget a reference, if it was held."""
        ...


class References:
    """The store's table of references."""

    def __init__(self, env: Environment, derive: Derive, meta: bytes) -> None:
        """Take up the site's secret, making the first one where there is none.

        Args:
            env: The store's, with this table and `meta`.
            derive: The node's key derivation.
            meta: Table that keeps the sealed secret.

        Raises:
            StoreError: It can't be read or made.
        """
        self.env = self._env = env
        self._meta = meta
        self._seal, self._seal_meta = Sealer(TABLE, derive), Sealer(meta, derive)
        self._hide = IdHider(derive).hide
        self._sinks: list[tuple[ReferenceSink, str]] = []
        self.held: Counter[str] = Counter()
        self.faces = 0
        kept = env.get(meta, COUNTS_KEY)
        if kept is None:
            self._count()
        else:
            counts = _COUNTS.decode(self._seal_meta.open(COUNTS_KEY, kept))
            self.held.update(counts.packs)
            self.faces = counts.faces
        self._changed: list[ReferenceRecord | DropReference] = []
        self._growth: Counter[str] = Counter()
        self._new_faces = 0
        sealed = env.get(meta, SITE_KEY)
        if sealed is None:
            self._protector = Protector(0, b"")
            self.renew(lambda *_: None)
        else:
            site = _SITE.decode(self._seal_meta.open(SITE_KEY, sealed))
            self._protector = Protector(site.generation, site.secret)

    @property
    def generation(self) -> int:
        """The generation that every reference is of."""
        return self._protector.generation

    @property
    def site(self) -> Site:
        """What a store that is built beside this one protects its references with."""
        return Site(self._protector.generation, self._protector._secret)

    def get(self, holder_id: bytes, pack: str) -> ReferenceRecord | None:
        """Look one up, in stored space."""
        key = self._key(holder_id, pack)
        sealed = self._env.get(TABLE, key)
        return None if sealed is None else self._opened(key, sealed)

    def each(self, pack: str, purpose: str) -> Iterator[tuple[bytes, ReferenceRecord]]:
        """Give every reference of a pack that may be used for a purpose, by holder id."""
        name = pack.encode()
        for chunk in self._env.chunks(TABLE):
            for key, sealed in chunk:
                if key[ID_BYTES:] == name:
                    record = self._opened(key, sealed)
                    if admits(record.purpose, purpose):
                        yield record.holder_id, record

    def protect(self, template: Template, pack: str, generation: int) -> tuple[Template, Template]:
        """Rotate a template into the space of stored references; both planes.

        Raises:
            StoreError: References aren't of that generation any more.
        """
        if generation != self.generation:
            raise StoreError(
                "the references were renewed by another process: restart the node")
        return renewal.protect(template, self._protector.rotation(pack, len(template)))

    def protect_probe(self, probe: Probe, reference: ReferenceRecord | None) -> Probe:
        """Bring a probe into the space of a reference; raises as `protect`."""
        if reference is None:
            return probe
        coarse, fine = self.protect(probe.template, probe.pack, reference.generation)
        return msgspec.structs.replace(
            probe, template=coarse, fine=fine, generation=reference.generation)

    def warm(self, pack: str, dimensions: int) -> None:
        """Make the rotation of a pack's templates."""
        self._protector.rotation(pack, dimensions)

    def begin(self) -> None:
        """Forget what a transaction that came to nothing had changed."""
        self._changed, self._growth, self._new_faces = [], Counter(), 0

    def apply(self, txn: Transaction, change: PutReference | DropReference) -> None:
        """Write one change; `committed` makes it known."""
        table = self._env.tables[TABLE]
        if isinstance(change, PutReference):
            record = self._protector.protected(change.reference)
            key = self._key(record.holder_id, record.pack)
            if txn.get(key, db=table) is None:
                self._grow(txn, key, record.pack, 1)
            txn.put(key, self._seal.seal(key, _encode(record)), db=table)
            self._changed.append(record)
        else:
            key = self._key(change.holder_id, change.pack)
            if txn.delete(key, db=table):
                self._grow(txn, key, change.pack, -1)
            self._changed.append(change)

    def drop_of(self, txn: Transaction, holder_id: bytes, but: Regions = NONE) -> None:
        """Drop whatever is held of a holder, but what is of these regions."""
        for pack in self.held.keys() | self._growth.keys():
            key = self._key(holder_id, pack)
            sealed = txn.get(key, db=self._env.tables[TABLE])
            if sealed is not None and self._opened(key, sealed).region not in but:
                self.apply(txn, DropReference(holder_id, pack))

    def holders_outside(self, regions: Regions) -> Iterator[set[bytes]]:
        """Give the holders of references that are of other regions, some thousand at a time."""
        for chunk in self._env.chunks(TABLE):
            records = [self._opened(key, sealed) for key, sealed in chunk]
            yield {item.holder_id for item in records if item.region not in regions}

    def empty(self, txn: Transaction) -> None:
        """Forget every reference; no sink is told, so this is for a store without any."""
        txn.drop(self._env.tables[TABLE], delete=False)
        self._growth = Counter({pack: -count for pack, count in self.held.items()})
        self._new_faces = -self.faces

    def keep_counts(self, txn: Transaction) -> None:
        """Put down how many there are, if the transaction changed that or it isn't there yet."""
        table = self._env.tables[self._meta]
        if not self._growth and not self._new_faces and txn.get(COUNTS_KEY, db=table) is not None:
            return
        held = self.held.copy()
        held.update(self._growth)
        counts = Counts(self.faces + self._new_faces, dict(held))
        txn.put(COUNTS_KEY, self._seal_meta.seal(COUNTS_KEY, _encode(counts)), db=table)

    def committed(self) -> None:
        """Count what was changed since `begin`, and tell the sinks."""
        self.held.update(self._growth)
        self.faces += self._new_faces
        changed = self._changed
        self.begin()
        for item in changed:
            self._tell(item)

    def add_sink(self, sink: ReferenceSink, purpose: str) -> None:
        """Tell a sink from now on of the references that may be used for a purpose."""
        self._sinks.append((sink, purpose))

    def take_sinks(self, before: "References") -> None:
        """Tell the sinks of the references held before what is held now, and go on with them."""
        self._sinks = list(before._sinks)
        if not self._sinks:
            return
        for chunk in before._env.chunks(TABLE):
            for key, sealed in chunk:
                if self._env.get(TABLE, key) is None:
                    gone = before._opened(key, sealed)
                    self._tell(DropReference(gone.holder_id, gone.pack))
        for chunk in self._env.chunks(TABLE):
            for key, sealed in chunk:
                self._tell(self._opened(key, sealed))

    def renew(self, progress: Progress) -> int:
        """Draw the next secret and bring every reference to it; give how many.

        One transaction: a kill at any time leaves all of them in the old generation or all in the
        new one, and the old secret is replaced with it.

        Raises:
            StoreError: Nothing was changed.
        """
        old, new = self._protector, Protector(
            self.generation + 1, os.urandom(renewal.SECRET_BYTES))
        total = self._env.count(TABLE)

        def _renew_all(txn: Transaction) -> int:
            done = 0
            for chunk in self._env.chunks(TABLE, txn=txn):
                records = {key: self._opened(key, sealed) for key, sealed in chunk}
                for key, data in _renewed(records, old, new):
                    txn.put(key, self._seal.seal(key, data), db=self._env.tables[TABLE])
                done += len(chunk)
                progress(done, total, "renewing references")
            site = self._seal_meta.seal(SITE_KEY, _encode(Site(new.generation, new._secret)))
            txn.put(SITE_KEY, site, db=self._env.tables[self._meta])
            return done

        done = self._env.write(_renew_all)
        self._protector = new
        return done

    def _tell(self, item: ReferenceRecord | DropReference) -> None:
        """Tell every sink of a reference; one that it may not use is dropped there."""
        for sink, purpose in self._sinks:
            if isinstance(item, ReferenceRecord) and admits(item.purpose, purpose):
                sink.put(item.holder_id, item.pack, np.frombuffer(item.template, np.int8))
            else:
                sink.drop(item.holder_id, item.pack)

    def _count(self) -> None:
        """Count references by pack, and the holders that have any."""
        last = b""
        for chunk in self._env.chunks(TABLE, values=False):
            for key, _ in chunk:
                self.held[key[ID_BYTES:].decode()] += 1
                self.faces += key[:ID_BYTES] != last
                last = key[:ID_BYTES]

    def _grow(self, txn: Transaction, key: bytes, pack: str, by: int) -> None:
        table = self._env.tables[TABLE]
        others = (self.held.keys() | self._growth.keys()) - {pack}
        self._growth[pack] += by
        if all(txn.get(key[:ID_BYTES] + name.encode(), db=table) is None for name in others):
            self._new_faces += by

    def _key(self, holder_id: bytes, pack: str) -> bytes:
        return self._hide(holder_id) + pack.encode()

    def _opened(self, key: bytes, sealed: bytes) -> ReferenceRecord:
        try:
            return _RECORD.decode(self._seal.open(key, sealed))
        except msgspec.MsgspecError:
            # No cause is kept: the decoder's words could quote the record.
            raise StoreError("an entry of the table references can't be read") from None


def _renewed(
    records: Mapping[bytes, ReferenceRecord], old: Protector, new: Protector
) -> Iterator[tuple[bytes, bytes]]:
    """Renew records of any packs and lengths, those alike together."""
    alike: dict[tuple[str, int], list[bytes]] = {}
    for key, record in records.items():
        if record.generation != old.generation:
            raise StoreError("a reference is of another generation than the site's secret")
        alike.setdefault((record.pack, len(record.template)), []).append(key)
    for keys in alike.values():
        yield from zip(keys, new.renewed([records[key] for key in keys], old), strict=True)


_SITE = msgspec.msgpack.Decoder(Site)
_COUNTS = msgspec.msgpack.Decoder(Counts)
