"""What of the city a store holds, how that is changed, and what goes when something goes.

- Everything, or a part: of some regions all that the feed brings, and what was asked for, each with
  a term. Which is kept in the store, so that whoever opens it does the same.
- Regions that are no longer wanted are let go of where they are. For others the feed is taken in
  from its beginning: what was left aside can't be had otherwise.
- A holder's references stay as long as any credential of that holder does, or are of our regions.
- Not here: what the feed and answers do (edge.cache.selective), when something lapses
  (edge.holding).
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path

from edge.cache.lmdb_env import Transaction
from edge.cache.regions import NONE, Regions, packed, seen_with, unpacked
from edge.cache.replaceable import CURSOR, SEEN, WITH_REGIONS
from edge.cache.sealing import Derive
from edge.cache.store import TABLES, LmdbStore
from edge.cache.terms import TABLE as _TERMS
from edge.cache.terms import Terms

ENTRIES = "holding.entries_max"
"""Among the small values; absent = the whole feed is held."""
REGIONS = "holding.regions"
"""Likewise; absent = none, where a part is held."""
ASIDE = "holding.aside"
"""Among the small values, in the transaction of what it counts: a gallery that wasn't told of all
of it, because the node was killed, is of another number."""
LAPSED_AT_ONCE = 500
_CREDENTIALS, _HOLDINGS, _STATUS, _POLICIES, _GATES = TABLES[0], TABLES[1], *TABLES[3:6]
Lapse = str
"""Why something is held no longer: `time`, `room`, `unknown` or `moved`."""


class Selection(LmdbStore):
    """An `LmdbStore` that knows what it is to hold."""

    def __init__(self, path: Path, derive: Derive, **bounds: int) -> None:
        """Open or make it; see `LmdbStore`."""
        super().__init__(path, derive, **bounds)
        self._terms = Terms(lambda: self._env, derive)
        kept = self.meta(ENTRIES)
        self._entries_max = int.from_bytes(kept, "big") if kept else None
        self._regions = unpacked(self.meta(REGIONS))
        self._seen = unpacked(self.meta(SEEN.decode()))
        self._owing = True
        self.aside = int.from_bytes(self.meta(ASIDE) or b"", "big")
        self.lapsed: Counter[Lapse] = Counter()
        fresh = self.cursor() == 0 and not any(self.counts().values())
        if fresh and self.meta(WITH_REGIONS.decode()) is None:
            self._write(lambda txn: self._put_meta(txn, {WITH_REGIONS.decode(): b"1"}))

    @property
    def entries_max(self) -> int | None:
        """How many credentials it holds at most; None = the whole feed."""
        return self._entries_max

    @property
    def regions(self) -> Regions | None:
        """Of which regions everything is held; None = of all."""
        return None if self._entries_max is None else self._regions

    @property
    def seen(self) -> Regions:
        """Regions that the feed was seen to name, where some are held."""
        return self._seen

    def covers(self, regions: Regions) -> bool:
        """Say whether everything of these regions is among what is held, and known to be."""
        if self._entries_max is None:
            return not regions or self.meta(WITH_REGIONS.decode()) is not None
        return regions <= self._regions

    @property
    def terms(self) -> int:
        """How many credentials have a term."""
        return len(self._terms)

    @property
    def oldest_s(self) -> int | None:
        """Since when the one with a term that is held longest is held, Unix seconds."""
        return self._terms.oldest_s

    def hold_part(self, entries_max: int, regions: Regions = NONE) -> None:
        """Hold a part from now on: of these regions all that is held, and what is asked for.

        For a store that nobody follows or reads yet, and that `covers` these regions. A kill leaves
        what held before, perhaps less of it: the next start goes on. The file is rewritten where
        regions were let go of.

        Raises:
            StoreError: The same.
        """
        emptied: Sequence[bytes] = ()
        narrowed = False
        if self._entries_max is None and not regions:
            emptied = (_CREDENTIALS, _HOLDINGS)
        elif self._entries_max is None or self._regions != regions:
            self._narrow(regions)
            narrowed = True
        elif self._entries_max == entries_max:
            return
        self._change(entries_max, regions, {SEEN.decode(): packed(self._seen)}, emptied)
        self._shrink()
        if narrowed:
            self._env.compact()

    def hold_all(self, meta: Mapping[str, bytes]) -> None:
        """Hold the whole feed from now on, from its beginning: what is held is forgotten.

        Raises:
            StoreError: All is as it was.
        """
        self.hold_anew(meta, None, NONE)

    def hold_anew(
        self, meta: Mapping[str, bytes], entries_max: int | None, regions: Regions
    ) -> None:
        """Take the feed in from its beginning, and hold this of it; what is held is forgotten.

        What was asked for is owed until its end, where a part is held.

        Raises:
            StoreError: All is as it was.
        """
        tables = [_CREDENTIALS, _HOLDINGS, _STATUS, _POLICIES, _GATES]
        tables += [_TERMS] if entries_max is None else []
        self._seen, self._owing = NONE, True
        self._change(entries_max, regions, {
            **meta, CURSOR.decode(): bytes(8), SEEN.decode(): b"", WITH_REGIONS.decode(): b"1",
        }, tables)

    def _change(
        self, entries_max: int | None, regions: Regions, meta: Mapping[str, bytes],
        emptied: Sequence[bytes],
    ) -> None:
        value = b"" if entries_max is None else entries_max.to_bytes(8, "big")

        def work(txn: Transaction) -> None:
            for table in emptied:
                txn.drop(self._env.tables[table], delete=False)
            if emptied:
                self._references.empty(txn)
            self._put_meta(txn, {**meta, ENTRIES: value, REGIONS: packed(regions)})

        self._write(work)
        self._entries_max, self._regions = entries_max, regions

    def _narrow(self, regions: Regions) -> None:
        """Let go of what is of other regions and wasn't asked for, some thousand at a time."""
        self._regions = regions
        for chunk in self._env.chunks(_CREDENTIALS):
            held = {key: self._credential_of(key, sealed).region for key, sealed in chunk}
            self._seen = seen_with(self._seen, held.values(), regions)
            self._let_go_all([key for key, region in held.items()
                              if region not in regions and not self._terms.has(key)], "moved")
        for holders in self._references.holders_outside(regions):
            self._write(partial(self._drop_references, holders))

    def _drop_references(self, holder_ids: Collection[bytes], txn: Transaction) -> None:
        for holder_id in holder_ids:
            if not self._holdings.any(txn, holder_id):
                self._references.drop_of(txn, holder_id)

    def adopt(self, folder: Path, cursor: int, meta: Mapping[str, bytes]) -> None:
        """Go on with a store that was built beside this one; see `Replaceable`."""
        super().adopt(folder, cursor, meta)
        self._seen, self._owing = unpacked(self.meta(SEEN.decode())), True

    def lapse(self, now_s: float) -> int:
        """Let go of what has come to its end, some hundred at a time; give how many."""
        return self._let_go_all(self._terms.first(LAPSED_AT_ONCE, now_s), "time")

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
            for key in keys:
                self._let_go(txn, key)

        self._write(work)
        self.lapsed[why] += len(keys)
        return len(keys)

    def _let_go(self, txn: Transaction, key: bytes, *, gone: bool = False) -> None:
        """Forget a credential, and with a holder's last one the references; status stays.

        One that is of our regions only loses its term, unless it is gone from there.
        """
        term, sealed = self._terms.drop(txn, key), txn.get(key, db=self._env.tables[_CREDENTIALS])
        held = None if sealed is None else self._credential_of(key, sealed)
        if held is not None and held.region in self._regions and not gone:
            return
        if held is not None:
            self._holdings.drop(txn, held)
            self._tables.delete(txn, _CREDENTIALS, key)
        whose = held or term
        if whose is not None and not self._holdings.any(txn, whose.holder_id):
            self._references.drop_of(txn, whose.holder_id, self._regions)

    def _write(self, work: Callable[[Transaction], None]) -> None:
        """Change what is held without the cursor's moving, and tell who follows."""

        def all_of_it(txn: Transaction) -> None:
            self._references.begin()
            work(txn)
            self._references.keep_counts(txn)
            self._put_meta(txn, self._next_aside())

        self._env.write(all_of_it)
        self._references.committed()
        self.aside += 1

    def _next_aside(self) -> dict[str, bytes]:
        return {ASIDE: (self.aside + 1).to_bytes(8, "big")}
