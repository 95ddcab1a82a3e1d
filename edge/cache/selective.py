"""The store of a node that holds a part of the city: what it asked for, each with a term.

- The feed changes what is held, and brings what a holder who is held is granted besides; other
  credentials and references it leaves aside. Status, policies and gates are taken in whole: a card
  may speak for a credential that isn't held, and its revocation counts.
- What an answer holds gives way to what the feed said meanwhile.
- A holder's references stay as long as any credential of that holder does.
- Whether a part is held is kept in the store, so that whoever opens it does the same.
- Not here: when something lapses, and what is asked for (edge.holding).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from edge.cache.lmdb_env import Transaction
from edge.cache.passed import Passed
from edge.cache.replaceable import CURSOR
from edge.cache.sealing import Derive
from edge.cache.store import MAP_BYTES, MAP_BYTES_MAX, TABLES, LmdbStore
from edge.cache.terms import TABLE as _TERMS
from edge.cache.terms import Term, Terms
from edge.errors import StoreError
from edge.protocol.feed import (
    Change,
    DropCredential,
    DropReference,
    PutCredential,
    PutReference,
)

ENTRIES = "holding.entries_max"
"""Among the small values; absent = the whole feed is held."""
ASIDE = "holding.aside"
"""Among the small values, in the transaction of what it counts: a gallery that wasn't told of all
of it, because the node was killed, is of another number."""
LAPSED_AT_ONCE = 500
_CREDENTIALS, _HOLDINGS, _STATUS, _POLICIES, _GATES = TABLES[0], TABLES[1], *TABLES[3:6]
Lapse = str
"""Why something is held no longer: `time`, `room` or `unknown`."""


class SelectiveStore(LmdbStore):
    """An `LmdbStore` that can hold a part."""

    def __init__(
        self, path: Path, derive: Derive, *, map_bytes: int = MAP_BYTES,
        map_bytes_max: int = MAP_BYTES_MAX,
    ) -> None:
        """Open or make it.

        Raises:
            StoreError: It can't be opened.
        """
        super().__init__(path, derive, map_bytes=map_bytes, map_bytes_max=map_bytes_max)
        self._terms, self._passed = Terms(lambda: self._env, derive), Passed()
        self._asked: tuple[int, int] | None = None
        kept = self.meta(ENTRIES)
        self._entries_max = int.from_bytes(kept, "big") if kept else None
        self.aside = int.from_bytes(self.meta(ASIDE) or b"", "big")
        self.lapsed: Counter[Lapse] = Counter()

    @property
    def entries_max(self) -> int | None:
        """How many credentials it holds at most; None = the whole feed."""
        return self._entries_max

    @property
    def terms(self) -> int:
        """How many credentials have a term."""
        return len(self._terms)

    @property
    def oldest_s(self) -> int | None:
        """Since when the one with a term that is held longest is held, Unix seconds."""
        return self._terms.oldest_s

    def hold_part(self, entries_max: int) -> None:
        """Hold a part from now on; of a whole, credentials and references are forgotten.

        For a store that nobody follows or reads yet.

        Raises:
            StoreError: All is as it was.
        """
        if self._entries_max != entries_max:
            self._change(entries_max, {}, () if self.entries_max else (_CREDENTIALS, _HOLDINGS))
        self._shrink()

    def hold_all(self, meta: Mapping[str, bytes]) -> None:
        """Hold the whole feed from now on, from its beginning: what is held is forgotten.

        Raises:
            StoreError: All is as it was.
        """
        tables = (_CREDENTIALS, _HOLDINGS, _STATUS, _POLICIES, _GATES, _TERMS)
        self._change(None, {**meta, CURSOR.decode(): bytes(8)}, tables)

    def _change(
        self, entries_max: int | None, meta: Mapping[str, bytes], emptied: Sequence[bytes]
    ) -> None:
        value = b"" if entries_max is None else entries_max.to_bytes(8, "big")

        def work(txn: Transaction) -> None:
            self._references.begin()
            for table in emptied:
                txn.drop(self._env.tables[table], delete=False)
            if emptied:
                self._references.empty(txn)
            self._references.keep_counts(txn)
            self._put_meta(txn, {**meta, ENTRIES: value, **self._next_aside()})

        self._env.write(work)
        self._references.committed()
        self._entries_max = entries_max
        self.aside += 1

    def _next_aside(self) -> dict[str, bytes]:
        return {ASIDE: (self.aside + 1).to_bytes(8, "big")}

    def apply(self, changes: Sequence[Change], cursor: int, meta: Mapping[str, bytes]) -> None:
        """Put down what of these changes is held here, cursor and meta, in one transaction.

        Raises:
            StoreError: Nothing of it was written.
        """
        if self._entries_max is None:
            super().apply(changes, cursor, meta)
            return
        super().apply([item for item in changes if self._is_of_ours(item)], cursor, meta)
        for item in changes:
            self._passed.saw(item)

    def take_in(self, changes: Sequence[Change], since_s: int, end_s: int) -> None:
        """Put an answer down beside what is held, its credentials until `end_s` at least.

        Raises:
            StoreError: Nothing of it was written.
        """
        if self._entries_max is None:
            self._hold_aside(changes)
            return
        if not self._passed.fit:
            raise StoreError("too much changed since this was asked for: ask again")
        changes = [self._passed.newer(item) for item in changes]
        holders = {item.credential.holder_id for item in changes
                   if isinstance(item, PutCredential)}
        self._asked = since_s, end_s
        try:
            self._hold_aside([
                item for item in changes if not isinstance(item, DropCredential | DropReference)
                and (not isinstance(item, PutReference) or item.reference.holder_id in holders
                     or self._holdings.of(item.reference.holder_id))])
        finally:
            self._asked = None
        self._shrink()

    def _hold_aside(self, changes: Sequence[Change]) -> None:
        self.hold(changes, self._next_aside())
        self.aside += 1

    def lapse(self, now_s: float) -> int:
        """Let go of what has come to its end, some hundred at a time; give how many."""
        return self._let_go_all(self._terms.first(LAPSED_AT_ONCE, now_s), "time")

    def owed(self, most: int) -> list[Term]:
        """Give terms whose credential isn't held: a snapshot took its place."""
        if self._env.count(_CREDENTIALS) >= len(self._terms):
            return []
        return self._terms.owed(_CREDENTIALS, most)

    def let_go(self, credential_ids: Sequence[bytes]) -> None:
        """Forget credentials that the platform doesn't know any more."""
        self._let_go_all([self._hide(id_) for id_ in credential_ids], "unknown")

    def _shrink(self) -> None:
        """Let go of what ends first while more is held than the bound."""
        assert self._entries_max is not None
        while (over := len(self._terms) - self._entries_max) > 0:
            self._let_go_all(self._terms.first(min(over, LAPSED_AT_ONCE)), "room")

    def _let_go_all(self, keys: Sequence[bytes], why: Lapse) -> int:
        if not keys:
            return 0

        def work(txn: Transaction) -> None:
            self._references.begin()
            for key in keys:
                self._let_go(txn, key)
            self._references.keep_counts(txn)
            self._put_meta(txn, self._next_aside())

        self._env.write(work)
        self._references.committed()
        self.aside += 1
        self.lapsed[why] += len(keys)
        return len(keys)

    def _let_go(self, txn: Transaction, key: bytes) -> None:
        """Forget a credential, and with a holder's last one the references; status stays."""
        term, sealed = self._terms.drop(txn, key), txn.get(key, db=self._env.tables[_CREDENTIALS])
        if sealed is not None:
            self._holdings.drop(txn, self._credential_of(key, sealed))
            self._tables.delete(txn, _CREDENTIALS, key)
        if term is not None and not self._holdings.any(txn, term.holder_id):
            self._references.drop_of(txn, term.holder_id)

    def _is_of_ours(self, change: Change) -> bool:
        """Say whether a change of the feed is of something that is held, or of anybody's."""
        if isinstance(change, PutCredential):
            key = self._hide(change.credential.credential_id)
            return self._terms.has(key) or bool(self._holdings.of(change.credential.holder_id))
        if isinstance(change, PutReference):
            return bool(self._holdings.of(change.reference.holder_id))
        return True

    def _apply_one(self, txn: Transaction, change: Change) -> None:
        if self._entries_max is not None and isinstance(change, PutCredential):
            key = self._hide(change.credential.credential_id)
            self._terms.put(txn, key, self._term(txn, key, change))
        elif self._entries_max is not None and isinstance(change, DropCredential):
            self._let_go(txn, self._hide(change.credential_id))
        super()._apply_one(txn, change)

    def _term(self, txn: Transaction, key: bytes, change: PutCredential) -> Term:
        """Give the term of a credential that comes: its own, its answer's, or its holder's."""
        credential, own = change.credential, self._terms.get(txn, key)
        known = [own] if own else [] if self._asked else [
            term for other in self._holdings.of(credential.holder_id)
            if (term := self._terms.get(txn, other)) is not None]
        asked = [self._asked] if self._asked else []
        return Term(
            credential_id=credential.credential_id, holder_id=credential.holder_id,
            since_s=max([t.since_s for t in known] + [since for since, _ in asked], default=0),
            end_s=max([t.end_s for t in known] + [end for _, end in asked], default=0))

