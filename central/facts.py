"""Facts about a whole database: whose keys it was made with.

- A database is read with the `platform.key` it was written with, and nodes are pinned to one root:
  a process with other ones would seal what nobody else opens, so it doesn't start.
"""

import hashlib
import hmac

from central.keys import PlatformKeys
from central.schema import Fact
from central.store import Transaction
from edge.errors import KeyFileError

_KEYS = "keys"


def insist_on_keys(tx: Transaction, root: bytes) -> None:
    """Note whose database an empty one becomes; refuse another platform's.

    Raises:
        KeyFileError: It was made with other keys or another root.
    """
    row, mark = tx.session.get(Fact, _KEYS), _mark(tx.keys, root)
    if row is None:
        tx.session.add(Fact(name=_KEYS, value=mark))
    elif not hmac.compare_digest(row.value, mark):
        raise KeyFileError(
            "the database was made with other keys: every process of one platform needs the same "
            "`keys` folder and `root.envelope` in its data folder; copy or restore them")


def _mark(keys: PlatformKeys, root: bytes) -> bytes:
    return keys.digest("database", hashlib.sha256(root).hexdigest())
