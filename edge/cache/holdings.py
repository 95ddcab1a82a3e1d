"""Which credentials a holder has: an index beside the table of credentials.

- Keys are hidden holder id ‖ hidden credential id, values are empty: it shows no id, and nothing
  that the table of credentials doesn't.
- An entry may outlive its credential's stay with a holder; whoever follows it checks the record.
- Stores that were made without it get it once, at their next opening.
"""

from collections.abc import Callable

from edge.cache.lmdb_env import Environment, Transaction
from edge.protocol.records import CredentialRecord

TABLE = b"holdings"
HELD_MAX = 256
"""Credentials of one holder that are looked at."""


class Holdings:
    """The store's table of holdings."""

    def __init__(
        self, env: Callable[[], Environment], hide: Callable[[bytes], bytes], credentials: bytes,
        opened: Callable[[bytes, bytes], CredentialRecord],
    ) -> None:
        """Take up the index.

        Args:
            env: Gives the store's, with this table and that of credentials; it may be replaced.
            hide: Hides an id.
            credentials: Name of the table of credentials.
            opened: Gives the record of a key of that table and its sealed value.
        """
        self._opened, self._hide = env, hide
        held = self._env
        if held.count(TABLE) == 0 and held.count(credentials):
            held.write(lambda txn: self._fill(txn, credentials, opened))

    @property
    def _env(self) -> Environment:
        return self._opened()

    def put(self, txn: Transaction, credential: CredentialRecord) -> None:
        """Enter a credential."""
        key = self._hide(credential.holder_id) + self._hide(credential.credential_id)
        txn.put(key, b"", db=self._env.tables[TABLE])

    def drop(self, txn: Transaction, credential: CredentialRecord) -> None:
        """Take a credential out."""
        key = self._hide(credential.holder_id) + self._hide(credential.credential_id)
        txn.delete(key, db=self._env.tables[TABLE])

    def any(self, txn: Transaction, holder_id: bytes) -> bool:
        """Say whether a holder has any in a transaction."""
        prefix = self._hide(holder_id)
        with txn.cursor(db=self._env.tables[TABLE]) as cursor:
            return bool(cursor.set_range(prefix)) and bytes(cursor.key()).startswith(prefix)

    def of(self, holder_id: bytes) -> list[bytes]:
        """Give the keys of a holder's credentials in their table."""
        prefix = self._hide(holder_id)
        return [key[len(prefix):] for key in self._env.keys(TABLE, prefix, HELD_MAX)]

    def _fill(
        self, txn: Transaction, credentials: bytes,
        opened: Callable[[bytes, bytes], CredentialRecord],
    ) -> None:
        for chunk in self._env.chunks(credentials, txn=txn):
            for key, sealed in chunk:
                self.put(txn, opened(key, sealed))
