"""Facts about a whole database: whose keys it was made with, and how far its root has come.

- A database is read with the `platform.key` it was written with, and nodes are pinned to one root:
  a process with other ones would seal what nobody else opens, so it doesn't start.
- Nor does one with a root of before: nodes no longer believe what it signs.
"""

import hashlib
import hmac
from collections.abc import Sequence

from central.keys import PlatformKeys
from central.schema import Fact
from central.store import Transaction
from edge.errors import KeyFileError

_KEYS, _ROOT = "keys", "root"
_VERSION_BYTES = 8


def insist_on_keys(tx: Transaction, roots: Sequence[bytes]) -> None:
    """Note whose database an empty one becomes; refuse another platform's.

    Args:
        tx: The database's.
        roots: Every version of the root, oldest first.

    Raises:
        KeyFileError: It was made with other keys, or knows another or a later root.
    """
    row, mark = tx.session.get(Fact, _KEYS), _mark(tx.keys, roots[0])
    if row is None:
        tx.session.add(Fact(name=_KEYS, value=mark))
    elif not hmac.compare_digest(row.value, mark):
        raise KeyFileError(
            "the database was made with other keys: every process of one platform needs the same "
            "`keys` folder and `root.envelope` in its data folder; copy or restore them")
    newest = len(roots).to_bytes(_VERSION_BYTES, "big") + hashlib.sha256(roots[-1]).digest()
    known = tx.session.get(Fact, _ROOT)
    if known is None:
        tx.session.add(Fact(name=_ROOT, value=newest))
    elif known.value[:_VERSION_BYTES] < newest[:_VERSION_BYTES]:
        known.value = newest
    elif known.value != newest:
        raise KeyFileError(
            f"the root here is version {len(roots)}; another process of this platform has a later "
            "or another one: copy `root.envelope` and the `keys` folder from there")


def _mark(keys: PlatformKeys, root: bytes) -> bytes:
    return keys.digest("database", hashlib.sha256(root).hexdigest())
