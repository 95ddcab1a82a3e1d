"""An LMDB environment and its references, replaced as a whole while they are in use.

- What is looked up in stands behind one attribute, so a replacement is one assignment: a lookup
  sees the old store or the new one.
- The old one stays open for the lookups that were in it, and is closed a minute later.
- Changes come from one thread, which also replaces. Who writes beside it takes `_swapping`, so that
  nothing is put down in a store that is on its way out.
- Not here: what the tables mean (edge.cache.store), and building a store (edge.cache.bulk).
"""

import threading
import time
from collections.abc import Mapping
from pathlib import Path

from edge.cache.adoption import finish_adoption, move_into_place
from edge.cache.lmdb_env import Environment, Transaction
from edge.cache.protector import Site
from edge.cache.references import COUNTS_KEY, SITE_KEY, References
from edge.cache.sealing import Derive, Sealer
from edge.cache.terms import TABLE as TERMS
from edge.errors import StoreError

META, EPOCHS = b"meta", b"epochs"
SEEN, WITH_REGIONS = b"holding.regions_seen", b"holding.with_regions"
"""Regions that the records held were seen to name; and that they carry any, where the issuer gave
one: an earlier version let that fall."""
CURSOR = b"cursor"
RETIRED_S = 60.0
"""So long a store that was replaced stays open."""


class Replaceable:
    """What `LmdbStore` stands on.

    Attributes:
        replaced: How often the store was replaced since it was opened.
    """

    def __init__(
        self, path: Path, derive: Derive, tables: tuple[bytes, ...], map_bytes: int,
        map_bytes_max: int,
    ) -> None:
        """Open or make it.

        Raises:
            StoreError: It can't be opened.
        """
        finish_adoption(path)
        self._path, self._derive, self._names = path, derive, tables
        self._map = (map_bytes, map_bytes_max)
        self.replaced = 0
        self._retired: tuple[float, Environment] | None = None
        self._swapping = threading.Lock()
        self._references = self._opened_at(path)

    @property
    def _env(self) -> Environment:
        """The environment in use."""
        return self._references.env

    @property
    def site(self) -> Site:
        """What a store that is built beside this one protects its references with."""
        return self._references.site

    def adopt(self, folder: Path, cursor: int, meta: Mapping[str, bytes]) -> None:
        """Go on with a store that was built in `folder`, in place of what is held.

        Key epochs, terms and small values are taken over. A kill leaves the old store or the new
        one.

        Args:
            folder: Of the new store, which moves to this one's place; on the same disk.
            cursor: Number of the first change it doesn't hold.
            meta: Values to replace beside those taken over.

        Raises:
            StoreError: The old store stays in use.
        """
        self.close_retired(0.0)
        before, fresh = self._references, self._opened_at(folder)
        with self._swapping:
            try:
                self._take_over(before.env, fresh.env, {
                    **meta, CURSOR.decode(): cursor.to_bytes(8, "big")})
                fresh.take_sinks(before)
                move_into_place(folder, self._path)
            except StoreError:
                fresh.env.close()
                raise
            fresh.env.moved(self._path)
            self._references = fresh
            self.replaced += 1
        self._retired = (time.monotonic(), before.env)

    def close_retired(self, after_s: float) -> None:
        """Close the store that was in use before, once nobody can be inside it any more."""
        if self._retired is not None and time.monotonic() - self._retired[0] >= after_s:
            self._retired[1].close()
            self._retired = None

    def close(self) -> None:
        """Close the store."""
        self.close_retired(0.0)
        self._env.close()

    def _opened_at(self, path: Path) -> References:
        size, largest = self._map
        env = Environment(path, self._names, map_bytes=size, map_bytes_max=largest)
        try:
            return References(env, self._derive, META)
        except StoreError:
            env.close()
            raise

    def _take_over(self, before: Environment, env: Environment, meta: Mapping[str, bytes]) -> None:
        own = {CURSOR, SITE_KEY, COUNTS_KEY, SEEN, WITH_REGIONS}
        rows = [(table, key, value) for table in (META, EPOCHS, TERMS)
                for key, value in before.items(table) if key not in own]
        seal = Sealer(META, self._derive).seal

        def work(txn: Transaction) -> None:
            for table, key, value in rows:
                txn.put(key, value, db=env.tables[table])
            for name, value in meta.items():
                txn.put(name.encode(), seal(name.encode(), value), db=env.tables[META])

        env.write(work)
