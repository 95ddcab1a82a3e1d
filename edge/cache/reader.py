"""The store as another process of the same node reads it; it writes nothing.

- Each lookup sees what the last commit left: a revocation holds here when it holds at the keeper.
- When another store took the folder, `reopen` takes that one up; calls come from one thread.
"""

from pathlib import Path

import msgspec

from edge.cache.lmdb_env import Environment
from edge.cache.replaceable import EPOCHS
from edge.cache.sealing import Derive, IdHider
from edge.cache.standings import CREDENTIALS, STATUS, HeldStandings
from edge.cache.store import MAP_BYTES, MAP_BYTES_MAX
from edge.cache.tables import SealedTables
from edge.protocol.records import EpochKeys

_TABLES = (CREDENTIALS, STATUS, EPOCHS)


class StoreReader:
    """Looks credentials, their status and key epochs up.

    Attributes:
        standing, standings: Say how credentials stand (the pipeline's `Standings`).
    """

    def __init__(self, folder: Path, derive: Derive) -> None:
        """Open a store that its keeper has open.

        Raises:
            StoreError: It isn't there, or can't be read.
        """
        self._folder, self._derive = folder, derive
        self._env, self._tables = self._opened()
        held = HeldStandings(lambda: self._env, lambda: self._tables, IdHider(derive).hide_all)
        self.standing, self.standings = held.standing, held.standings

    def epochs(self) -> list[EpochKeys]:
        """Give the key epochs, ascending."""
        return self._tables.every(EPOCHS, msgspec.msgpack.Decoder(EpochKeys))

    def reopen(self) -> None:
        """Take up the store that is in the folder now.

        Raises:
            StoreError: It can't be read; nothing may be looked up then.
        """
        # First closed: one process doesn't open the same place twice.
        self._env.close()
        self._env, self._tables = self._opened()

    def close(self) -> None:
        """Let go of the store."""
        self._env.close()

    def _opened(self) -> tuple[Environment, SealedTables]:
        env = Environment(
            self._folder, _TABLES, map_bytes=MAP_BYTES, map_bytes_max=MAP_BYTES_MAX,
            beside=True)
        return env, SealedTables(lambda: env, _TABLES, self._derive)
