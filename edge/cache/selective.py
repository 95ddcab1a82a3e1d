"""The store of a node that holds a part of the city: regions, and what it asked for, with a term.

- Of its regions it takes in and changes whatever the feed brings. Who moves away is let go of with
  the change that says so, unless it was asked for besides; who moves here comes with it.
- Of what was asked for, the feed changes what is held, and brings what a holder who is held is
  granted besides; other credentials and references it leaves aside. Status, policies and gates are
  taken in whole: a card may speak for a credential that isn't held, and its revocation counts.
- What an answer holds gives way to what the feed said meanwhile.
- Not here: what is to be held (edge.cache.selection); when something lapses, and what is asked for
  (edge.holding).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from edge.cache.lmdb_env import Transaction
from edge.cache.passed import Passed
from edge.cache.regions import packed, region_of, seen_with
from edge.cache.replaceable import SEEN
from edge.cache.sealing import Derive
from edge.cache.selection import Selection
from edge.cache.store import TABLES as _TABLES
from edge.cache.terms import Term
from edge.errors import StoreError
from edge.protocol.feed import (
    Change,
    DropCredential,
    DropReference,
    PutCredential,
    PutReference,
)

_CREDENTIALS = _TABLES[0]


class SelectiveStore(Selection):
    """An `LmdbStore` that can hold a part."""

    def __init__(self, path: Path, derive: Derive, **bounds: int) -> None:
        """Open or make it; see `LmdbStore`."""
        super().__init__(path, derive, **bounds)
        self._passed = Passed()
        self._asked: tuple[int, int] | None = None
        self._moved: set[bytes] = set()

    def apply(self, changes: Sequence[Change], cursor: int, meta: Mapping[str, bytes]) -> None:
        """Put down what of these changes is held here, cursor and meta, in one transaction.

        Raises:
            StoreError: Nothing of it was written.
        """
        if self._entries_max is None:
            super().apply(changes, cursor, meta)
            return
        self._moved.clear()
        seen = self._seen
        if self._regions:
            seen = seen_with(seen, map(region_of, changes), self._regions)
            meta = meta if seen == self._seen else {**meta, SEEN.decode(): packed(seen)}
        super().apply([item for item in changes if self._is_of_ours(item)], cursor, meta)
        self._seen = seen
        if self._moved:
            self.lapsed["moved"] += len(self._moved)
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

    def owed(self, most: int) -> list[Term]:
        """Give terms whose credential isn't held: a snapshot took its place."""
        if not self._owing or (
                not self._regions and self._env.count(_CREDENTIALS) >= len(self._terms)):
            return []
        found = self._terms.owed(_CREDENTIALS, most)
        self._owing = bool(found)
        return found

    def _is_of_ours(self, change: Change) -> bool:
        """Say whether a change of the feed is of something that is held, or of anybody's.

        Where regions are held that is seen in the transaction: a batch may move somebody.
        """
        if self._regions:
            return True
        if isinstance(change, PutCredential):
            key = self._hide(change.credential.credential_id)
            return self._terms.has(key) or bool(self._holdings.of(change.credential.holder_id))
        if isinstance(change, PutReference):
            return bool(self._holdings.of(change.reference.holder_id))
        return True

    def _apply_one(self, txn: Transaction, change: Change) -> None:
        if self._entries_max is not None:
            if isinstance(change, PutCredential) and not self._has_place(txn, change):
                return
            if isinstance(change, DropCredential):
                self._let_go(txn, self._hide(change.credential_id), gone=True)
            elif isinstance(change, PutReference) and not self._is_wanted(txn, change):
                self._references.drop_of(txn, change.reference.holder_id)
                return
        super()._apply_one(txn, change)

    def _has_place(self, txn: Transaction, change: PutCredential) -> bool:
        """Say whether a credential is held from now on, and until when; let go of it if not."""
        key = self._hide(change.credential.credential_id)
        if change.credential.region in self._regions:
            self._terms.drop(txn, key)
            return True
        term = self._term(txn, key, change)
        if term is not None:
            self._terms.put(txn, key, term)
        elif txn.get(key, db=self._env.tables[_CREDENTIALS]) is not None:
            self._let_go(txn, key, gone=True)
            self._moved.add(key)
        return term is not None

    def _is_wanted(self, txn: Transaction, change: PutReference) -> bool:
        # What an answer brings without its credential was left out of it already.
        return (self._asked is not None or change.reference.region in self._regions
                or self._holdings.any(txn, change.reference.holder_id))

    def _term(self, txn: Transaction, key: bytes, change: PutCredential) -> Term | None:
        """Give the term of a credential that comes: its own, its answer's, or its holder's."""
        credential, own = change.credential, self._terms.get(txn, key)
        known = [own] if own else [] if self._asked else [
            term for other in self._holdings.of(credential.holder_id)
            if (term := self._terms.get(txn, other)) is not None]
        asked = [self._asked] if self._asked else []
        if not known and not asked:
            return None
        return Term(
            credential_id=credential.credential_id, holder_id=credential.holder_id,
            since_s=max([t.since_s for t in known] + [since for since, _ in asked]),
            end_s=max([t.end_s for t in known] + [end for _, end in asked]))
