"""How credentials stand: each with its status, by one read of two sealed tables.

- Everything that is asked for together is of one moment.
- What can't be read of one credential is its own error, and nobody else's.
"""

from collections.abc import Callable, Sequence

import msgspec

from edge.cache.lmdb_env import Environment
from edge.cache.tables import SealedTables
from edge.errors import StoreError
from edge.protocol.records import CredentialRecord, StatusRecord

CREDENTIALS, STATUS = b"credentials", b"status"
Standing = tuple[CredentialRecord | None, StatusRecord | None]


class HeldStandings:
    """Implements the pipeline's `Standings` for whoever has the tables open.

    Attributes:
        credential_of, status_of: Decode a record of either table.
    """

    def __init__(
        self, env: Callable[[], Environment], tables: Callable[[], SealedTables],
        hide_all: Callable[[Sequence[bytes]], list[bytes]],
    ) -> None:
        """Take what gives the environment and its tables now, and what hides ids."""
        self._env, self._tables, self._hide_all = env, tables, hide_all
        self.credential_of = msgspec.msgpack.Decoder(CredentialRecord)
        self.status_of = msgspec.msgpack.Decoder(StatusRecord)

    def standing(self, credential_id: bytes) -> Standing:
        """Give a credential, and its status if it is anything but valid, as of one moment."""
        found = self.standings([credential_id])[0]
        if isinstance(found, StoreError):
            raise found
        return found

    def standings(self, credential_ids: Sequence[bytes]) -> list[Standing | StoreError]:
        """Give several standings as of one moment, or of each why it can't be read."""
        keys = self._hide_all(credential_ids)
        tables, found = self._tables(), list[Standing | StoreError]()
        for key, (credential, status) in zip(
                keys, self._env().get_pairs(CREDENTIALS, STATUS, keys), strict=True):
            try:
                found.append((
                    None if credential is None else tables.opened(
                        CREDENTIALS, key, credential, self.credential_of),
                    None if status is None else tables.opened(
                        STATUS, key, status, self.status_of),
                ))
            except StoreError as error:
                found.append(error)
        return found
