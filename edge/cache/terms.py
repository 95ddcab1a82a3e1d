"""Until when a credential stays that a node asked for: a table beside that of credentials.

- Three rows each: the term by hidden id, sealed; and its place in the orders of ends and of
  beginnings, which show times and no ids.
- A term may outlive its credential: that one is owed, and to be asked for again.
- Not here: what goes with a credential (edge.cache.selection), and when (edge.holding).
"""

from collections.abc import Callable

import msgspec

from edge.cache.lmdb_env import Environment, Transaction
from edge.cache.sealing import Derive, Sealer
from edge.errors import StoreError

TABLE = b"terms"
_BY_END, _BY_BEGINNING, _BY_ID = b"\0", b"\1", b"\2"
_TIME = 8
_HEAD = 1 + _TIME
_encode = msgspec.msgpack.Encoder().encode


class Term(msgspec.Struct, frozen=True, kw_only=True):
    """Of one credential: since when it is held, and from when it isn't any more; Unix seconds."""

    credential_id: bytes
    holder_id: bytes
    since_s: int
    end_s: int


class Terms:
    """The store's table of terms. Keys are hidden credential ids."""

    def __init__(self, env: Callable[[], Environment], derive: Derive) -> None:
        """Take what gives the store's environment; it may be replaced."""
        self._given, self._seal = env, Sealer(TABLE, derive)

    @property
    def _env(self) -> Environment:
        return self._given()

    def __len__(self) -> int:
        """Count them."""
        return self._env.count(TABLE) // 3

    def get(self, txn: Transaction, key: bytes) -> Term | None:
        """Give a credential's term."""
        sealed = txn.get(_BY_ID + key, db=self._env.tables[TABLE])
        return None if sealed is None else self._opened(_BY_ID + key, sealed)

    def has(self, key: bytes) -> bool:
        """Say whether a credential has a term."""
        return self._env.get(TABLE, _BY_ID + key) is not None

    def put(self, txn: Transaction, key: bytes, term: Term) -> None:
        """Give a credential this term."""
        self.drop(txn, key)
        table = self._env.tables[TABLE]
        txn.put(_BY_ID + key, self._seal.seal(_BY_ID + key, _encode(term)), db=table)
        for place in _places(key, term):
            txn.put(place, b"", db=table)

    def drop(self, txn: Transaction, key: bytes) -> Term | None:
        """Forget a credential's term, and give it."""
        term, table = self.get(txn, key), self._env.tables[TABLE]
        if term is not None:
            for place in (_BY_ID + key, *_places(key, term)):
                txn.delete(place, db=table)
        return term

    def first(self, most: int, before_s: float | None = None) -> list[bytes]:
        """Give those that end first, or of them those that have ended by `before_s`."""
        keys = self._env.keys(TABLE, _BY_END, most)
        return [key[_HEAD:] for key in keys
                if before_s is None or int.from_bytes(key[1:_HEAD], "big") <= before_s]

    @property
    def oldest_s(self) -> int | None:
        """Since when the one that is held longest is held."""
        keys = self._env.keys(TABLE, _BY_BEGINNING, 1)
        return int.from_bytes(keys[0][1:_HEAD], "big") if keys else None

    def owed(self, credentials: bytes, most: int) -> list[Term]:
        """Give up to `most` whose credential isn't in the table of that name."""
        found: list[Term] = []
        for chunk in self._env.chunks(TABLE):
            for key, sealed in chunk:
                if key.startswith(_BY_ID) and self._env.get(credentials, key[1:]) is None:
                    found.append(self._opened(key, sealed))
                    if len(found) == most:
                        return found
        return found

    def _opened(self, key: bytes, sealed: bytes) -> Term:
        try:
            return _TERM.decode(self._seal.open(key, sealed))
        except msgspec.MsgspecError:
            raise StoreError("an entry of the table terms can't be read") from None


def _places(key: bytes, term: Term) -> tuple[bytes, bytes]:
    return (_BY_END + term.end_s.to_bytes(_TIME, "big") + key,
            _BY_BEGINNING + term.since_s.to_bytes(_TIME, "big") + key)


_TERM = msgspec.msgpack.Decoder(Term)
