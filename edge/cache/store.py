"""The embedded store: what the node holds of the city, encrypted, in LMDB.

- A batch of the feed, its cursor and sync's own values are one transaction.
- Of status only exceptions are kept: absent means valid since it was issued.
- Lookups take microseconds and may run on the event loop; writes block and flush.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import msgspec

from edge.cache.holdings import TABLE as _HOLDINGS
from edge.cache.holdings import Holdings
from edge.cache.lmdb_env import Transaction
from edge.cache.references import TABLE as _REFERENCES
from edge.cache.references import Progress, ReferenceSink
from edge.cache.replaceable import CURSOR, EPOCHS, META, RETIRED_S, Replaceable
from edge.cache.sealing import Derive, IdHider
from edge.cache.standings import CREDENTIALS, STATUS, HeldStandings
from edge.cache.tables import SealedTables
from edge.cache.terms import TABLE as _TERMS
from edge.errors import StoreError
from edge.hotpath.holder import VERIFICATION, Probe, Template
from edge.protocol.feed import (
    Change,
    DropCredential,
    DropPolicy,
    DropReference,
    PutCredential,
    PutGate,
    PutPolicy,
    PutReference,
    PutStatus,
)
from edge.protocol.records import (
    CredentialRecord,
    EpochKeys,
    GateRecord,
    ReferenceRecord,
    ScenePolicy,
    Status,
    StatusRecord,
)

MAP_BYTES_MAX = 16 * 1024 * 1024 * 1024
MAP_BYTES = MAP_BYTES_MAX
"""The map is address space, not disk: it begins at its bound, because it may only grow while
nobody reads."""

_CREDENTIALS, _STATUS = CREDENTIALS, STATUS
_POLICIES, _GATES, _EPOCHS, _META = b"policies", b"gates", EPOCHS, META
TABLES = (
    _CREDENTIALS, _HOLDINGS, _REFERENCES, _STATUS, _POLICIES, _GATES, _EPOCHS, _META, _TERMS)
_CURSOR = CURSOR
NOTHING: Mapping[str, bytes] = MappingProxyType({})


class LmdbStore(Replaceable):
    """Implements the pipeline's `CredentialCache` and sync's `FeedStore`.

    Attributes:
        standing, standings: Say how credentials stand (the pipeline's `Standings`).
        aside: Rises with what is put down or forgotten without the cursor's moving.
    """

    aside = 0

    def __init__(
        self,
        path: Path, derive: Derive, *,
        map_bytes: int = MAP_BYTES, map_bytes_max: int = MAP_BYTES_MAX,
    ) -> None:
        """Open or make the store.

        Raises:
            StoreError: It can't be opened.
        """
        super().__init__(path, derive, TABLES, map_bytes, map_bytes_max)
        self._tables = SealedTables(lambda: self._env, TABLES, derive)
        hider = IdHider(derive)
        self._hide = hider.hide
        held = HeldStandings(lambda: self._env, lambda: self._tables, hider.hide_all)
        self.standing, self.standings = held.standing, held.standings
        self._credential, self._status = held.credential_of, held.status_of
        try:
            self._holdings = Holdings(
                lambda: self._env, self._hide, _CREDENTIALS, self._credential_of)
        except StoreError:
            self.close()
            raise

    def credential(self, credential_id: bytes) -> CredentialRecord | None:
        """Look a credential up."""
        return self._tables.load(_CREDENTIALS, self._hide(credential_id), self._credential)

    def credentials_of(self, holder_id: bytes) -> list[CredentialRecord]:
        """Give what is held of a holder's credentials."""
        loaded = (self._tables.load(_CREDENTIALS, key, self._credential)
                  for key in self._holdings.of(holder_id))
        return [item for item in loaded if item is not None and item.holder_id == holder_id]

    def status(self, credential_id: bytes) -> StatusRecord | None:
        """Give its status if it is anything but valid."""
        return self._tables.load(_STATUS, self._hide(credential_id), self._status)

    def reference(self, holder_id: bytes, pack: str) -> ReferenceRecord | None:
        """Look up the reference of a holder for one pack, in stored space."""
        return self._references.get(holder_id, pack)

    def references(
        self, pack: str, purpose: str = VERIFICATION
    ) -> Iterator[tuple[bytes, ReferenceRecord]]:
        """Give every reference of a pack that may be used for a purpose, by holder id."""
        return self._references.each(pack, purpose)

    def rank(self, holder_id: bytes) -> bytes:
        """Give a holder's place in the order of `references`, which no id tells."""
        return self._hide(holder_id)

    @property
    def generation(self) -> int:
        """The generation that every reference held is of."""
        return self._references.generation

    def protect(self, template: Template, pack: str, generation: int) -> Template:
        """Give a template as galleries and cohorts hold theirs; see the port."""
        return self._references.protect(template, pack, generation)[0]

    def protect_probe(self, probe: Probe, reference: ReferenceRecord | None) -> Probe:
        """Bring a probe into the space of a reference; see the port."""
        return self._references.protect_probe(probe, reference)

    def warm(self, pack: str, dimensions: int) -> None:
        """Make the rotation of a pack's templates, which the first probe would wait for."""
        self._references.warm(pack, dimensions)

    def renew_references(self, progress: Progress) -> int:
        """Bring every reference to a new generation and end the old one; give how many.

        For a store that nobody uses meanwhile: what was read of it before is of no use any more.
        Afterwards the file is rewritten, so that the old generation and its secret aren't in it.

        Raises:
            StoreError: Nothing was changed; or all is renewed and the file couldn't be rewritten.
        """
        count = self._references.renew(progress)
        self._env.compact()
        return count

    def add_sink(self, sink: ReferenceSink, purpose: str = VERIFICATION) -> None:
        """Tell a sink from now on of the references that may be used for a purpose.

        A reference that may no longer be is dropped there.
        """
        self._references.add_sink(sink, purpose)

    @property
    def faces(self) -> int:
        """How many holders' faces are held, whatever the pack."""
        return self._references.faces

    @property
    def references_held(self) -> Mapping[str, int]:
        """How many references are held, by pack."""
        return self._references.held

    def counts(self) -> dict[str, int]:
        """Count credentials, references and exceptions of status."""
        tables = (_CREDENTIALS, _REFERENCES, _STATUS)
        return {table.decode(): self._env.count(table) for table in tables}

    @property
    def bytes_used(self) -> int:
        """Bytes that the store takes on the disk."""
        return self._env.bytes_used

    def meta(self, name: str) -> bytes | None:
        """Give a value kept beside the changes."""
        return self._tables.load_bytes(_META, name.encode())

    def cursor(self) -> int:
        """Give the number of the first change not held."""
        value = self.meta(_CURSOR.decode())
        return 0 if value is None else int.from_bytes(value, "big")

    def policies(self) -> dict[str, ScenePolicy]:
        """Give every policy, by scene."""
        decoder = msgspec.msgpack.Decoder(ScenePolicy)
        return {item.scene: item for item in self._tables.every(_POLICIES, decoder)}

    def gates(self) -> dict[str, GateRecord]:
        """Give every gate, by gate id."""
        decoder = msgspec.msgpack.Decoder(GateRecord)
        return {item.gate_id: item for item in self._tables.every(_GATES, decoder)}

    def epochs(self) -> list[EpochKeys]:
        """Give the key epochs, ascending."""
        return self._tables.every(_EPOCHS, msgspec.msgpack.Decoder(EpochKeys))

    def apply(self, changes: Sequence[Change], cursor: int, meta: Mapping[str, bytes]) -> None:
        """Put changes, cursor and meta down in one transaction.

        Raises:
            StoreError: Nothing of it was written.
        """
        self.hold(changes, {**meta, _CURSOR.decode(): cursor.to_bytes(8, "big")})

    def hold(self, changes: Sequence[Change], meta: Mapping[str, bytes] = NOTHING) -> None:
        """Put changes and meta down in one transaction; the cursor stays."""
        def work(txn: Transaction) -> None:
            self._references.begin()
            for change in changes:
                self._apply_one(txn, change)
            self._references.keep_counts(txn)
            self._put_meta(txn, meta)

        self._env.write(work)
        self._references.committed()
        self.close_retired(RETIRED_S)

    def take_in(
        self, changes: Sequence[Change], since_s: int, end_s: int  # noqa: ARG002
    ) -> None:
        """Put an answer down beside what is held; here it has no end."""
        self.hold(changes)

    def put_epochs(self, epochs: Sequence[EpochKeys], meta: Mapping[str, bytes]) -> None:
        """Hold exactly these key epochs, and meta, in one transaction."""

        def work(txn: Transaction) -> None:
            txn.drop(self._env.tables[_EPOCHS], delete=False)
            for epoch in epochs:
                self._tables.put(txn, _EPOCHS, epoch.key_epoch.to_bytes(4, "big"), epoch)
            self._put_meta(txn, meta)

        self._env.write(work)

    def keep(self, meta: Mapping[str, bytes]) -> None:
        """Put values down beside the changes, in one transaction; from any thread."""
        with self._swapping:
            self._env.write(lambda txn: self._put_meta(txn, meta))

    def drop_epochs(self, key_epochs: Sequence[int]) -> None:
        """Forget these key epochs for good."""

        def work(txn: Transaction) -> None:
            for key_epoch in key_epochs:
                self._tables.delete(txn, _EPOCHS, key_epoch.to_bytes(4, "big"))

        self._env.write(work)

    def forget_dead_readers(self) -> None:
        """Let go of what a process that was killed while it read holds of the file."""
        self._env.forget_dead_readers()

    def _apply_one(self, txn: Transaction, change: Change) -> None:
        if isinstance(change, PutCredential):
            key = self._hide(change.credential.credential_id)
            self._tables.put(txn, _CREDENTIALS, key, change.credential)
            self._holdings.put(txn, change.credential)
        elif isinstance(change, DropCredential):
            key = self._hide(change.credential_id)
            sealed = txn.get(key, db=self._env.tables[_CREDENTIALS])
            if sealed is not None:
                self._holdings.drop(txn, self._credential_of(key, sealed))
            self._tables.delete(txn, _CREDENTIALS, key)
            self._tables.delete(txn, _STATUS, self._hide(change.credential_id))
        elif isinstance(change, PutReference | DropReference):
            self._references.apply(txn, change)
        elif isinstance(change, PutStatus):
            key = self._hide(change.status.credential_id)
            if change.status.status is Status.VALID:
                self._tables.delete(txn, _STATUS, key)
            else:
                self._tables.put(txn, _STATUS, key, change.status)
        elif isinstance(change, PutPolicy):
            self._tables.put(txn, _POLICIES, change.policy.scene.encode(), change.policy)
        elif isinstance(change, DropPolicy):
            self._tables.delete(txn, _POLICIES, change.scene.encode())
        elif isinstance(change, PutGate):
            self._tables.put(txn, _GATES, change.gate.gate_id.encode(), change.gate)

    def _put_meta(self, txn: Transaction, meta: Mapping[str, bytes]) -> None:
        values = {name.encode(): value for name, value in meta.items()}
        self._tables.put_bytes(txn, _META, values)

    def _credential_of(self, key: bytes, sealed: bytes) -> CredentialRecord:
        return self._tables.opened(_CREDENTIALS, key, sealed, self._credential)
