"""Sealed tables: records of msgspec under hidden keys, each value sealed for its table and key."""

from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec

from edge.cache.lmdb_env import Environment, Transaction
from edge.cache.sealing import Derive, Sealer
from edge.errors import StoreError

_T = TypeVar("_T")


class SealedTables:
    """The tables of one environment."""

    def __init__(
        self, env: Callable[[], Environment], names: tuple[bytes, ...], derive: Derive
    ) -> None:
        """Take what gives the environment, and the derivation that each table's key comes from."""
        self._given = env
        self._seals = {name: Sealer(name, derive) for name in names}
        self._encode = msgspec.msgpack.Encoder().encode

    @property
    def _env(self) -> Environment:
        return self._given()

    def put(self, txn: Transaction, table: bytes, key: bytes, record: msgspec.Struct) -> None:
        """Put a record down."""
        self.put_bytes(txn, table, {key: self._encode(record)})

    def put_bytes(self, txn: Transaction, table: bytes, values: Mapping[bytes, bytes]) -> None:
        """Put plain values down."""
        seal, place = self._seals[table].seal, self._env.tables[table]
        for key, value in values.items():
            txn.put(key, seal(key, value), db=place)

    def delete(self, txn: Transaction, table: bytes, key: bytes) -> None:
        """Forget a value, if it is there."""
        txn.delete(key, db=self._env.tables[table])

    def load_bytes(self, table: bytes, key: bytes) -> bytes | None:
        """Give a plain value."""
        sealed = self._env.get(table, key)
        return None if sealed is None else self._seals[table].open(key, sealed)

    def load(
        self, table: bytes, key: bytes, decoder: msgspec.msgpack.Decoder[_T]
    ) -> _T | None:
        """Give a record, None if there is none.

        Raises:
            StoreError: It was altered, or can't be read.
        """
        sealed = self._env.get(table, key)
        return None if sealed is None else self.opened(table, key, sealed, decoder)

    def every(self, table: bytes, decoder: msgspec.msgpack.Decoder[_T]) -> list[_T]:
        """Give every record of a table, by key; raises as `load`."""
        return [self.opened(table, key, sealed, decoder)
                for key, sealed in self._env.items(table)]

    def opened(
        self, table: bytes, key: bytes, sealed: bytes, decoder: msgspec.msgpack.Decoder[_T]
    ) -> _T:
        """Give the record of a sealed value; raises as `load`."""
        try:
            return decoder.decode(self._seals[table].open(key, sealed))
        except msgspec.MsgspecError:
            # No cause is kept: the decoder's words could quote personal fields.
            raise StoreError(f"an entry of the table {table.decode()} can't be read") from None
