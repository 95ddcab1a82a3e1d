"""The store as another process of the same node reads it; it writes nothing.

- Each lookup sees what the last commit left: a revocation holds here when it holds at the keeper.
- When another store took the folder, `reopen` takes that one up; calls come from one thread.
"""

from pathlib import Path

import msgspec

from edge.cache.lmdb_env import Environment
from edge.cache.sealing import Derive, IdHider
from edge.cache.store import MAP_BYTES, MAP_BYTES_MAX
from edge.cache.tables import SealedTables
from edge.protocol.records import CredentialRecord, EpochKeys, StatusRecord

CREDENTIALS, STATUS, EPOCHS = b"credentials", b"status", b"epochs"
"""As edge.cache.store names them."""
_TABLES = (CREDENTIALS, STATUS, EPOCHS)


class StoreReader:
    """Looks credentials, their status and key epochs up."""

    def __init__(self, folder: Path, derive: Derive) -> None:
        """Open a store that its keeper has open.

        Raises:
            StoreError: It isn't there, or can't be read.
        """
        self._folder, self._derive = folder, derive
        self._hide = IdHider(derive).hide
        self._credential = msgspec.msgpack.Decoder(CredentialRecord)
        self._status = msgspec.msgpack.Decoder(StatusRecord)
        self._env, self._tables = self._opened()

    def standing(
        self, credential_id: bytes
    ) -> tuple[CredentialRecord | None, StatusRecord | None]:
        """Give a credential, and its status if it is anything but valid, as of one moment."""
        key, tables = self._hide(credential_id), self._tables
        credential, status = self._env.get_two(CREDENTIALS, STATUS, key)
        return (
            None if credential is None else tables.opened(
                CREDENTIALS, key, credential, self._credential),
            None if status is None else tables.opened(STATUS, key, status, self._status),
        )

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
            self._folder, _TABLES, map_bytes=MAP_BYTES, map_bytes_max=MAP_BYTES_MAX, durable=True,
            beside=True)
        return env, SealedTables(lambda: env, _TABLES, self._derive)
