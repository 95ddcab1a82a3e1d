"""Status lists: an entry for each credential, published as signed tokens.

- Lists are of a fixed size and an entry's place in one is random, so that a number tells nothing of
  the order in which credentials were granted within it. A list is left with room, so that a free
  place is found at once.
- A list's time of issue is a function of its last change and of a slow clock: every worker signs
  the same bytes, and no two contents share a time.
- Not here: the token's form (edge.hotpath.statuslist).
"""

import secrets

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import func, select

from central.errors import Unknown
from central.schema import StatusEntry, StatusTable
from central.store import Transaction
from edge.hotpath.statuslist import VALUES, StatusList, make_token, set_value
from edge.protocol.feed import list_uri
from edge.protocol.records import Status
from edge.protocol.steps import DAY_S

BITS = 2
ENTRIES = 1 << 17
"""Of one list: 32 KiB before compression."""
FILLED_MAX = ENTRIES * 3 // 4
"""A list with so many entries takes no more: the next one is begun."""
TTL_S = 300
ROUND_S = 900
"""An unchanged list is issued anew this often, so that its age stays small."""
LIFE_S_MIN = 7 * DAY_S


def allot(tx: Transaction, credential_id: bytes, status: Status = Status.VALID) -> StatusEntry:
    """Give a credential its entry, choosing one at random where it has none yet."""
    held = tx.session.get(StatusEntry, credential_id)
    if held is not None:
        return held
    table = _open_table(tx)
    while True:
        place = secrets.randbelow(ENTRIES)
        taken = select(StatusEntry.credential_id).where(
            StatusEntry.number == table.number, StatusEntry.place == place)
        if tx.session.scalar(taken) is None:
            break
    entry = StatusEntry(credential_id=credential_id, number=table.number, place=place)
    tx.session.add(entry)
    table.used += 1
    if status is not Status.VALID:
        _set(tx, table, place, status)
    tx.session.flush()
    return entry


def mark(tx: Transaction, credential_id: bytes, status: Status) -> None:
    """Let a credential's entry say its status, if it has one."""
    entry = tx.session.get(StatusEntry, credential_id)
    if entry is not None:
        table = tx.session.get_one(StatusTable, entry.number, with_for_update=True)
        _set(tx, table, entry.place, status)


def tag_of(tx: Transaction, number: int) -> tuple[str, int]:
    """Give the tag of a list as it is now, and its time of issue.

    Raises:
        Unknown: There is no such list.
    """
    changed_s = tx.session.scalar(
        select(StatusTable.changed_s).where(StatusTable.number == number))
    if changed_s is None:
        raise Unknown("there is no such status list")
    issued_s = max(changed_s, tx.now_s - tx.now_s % ROUND_S)
    return f'"{number}-{issued_s}"', issued_s


def token(
    tx: Transaction, number: int, *, log: str, ahead_days: int, key: Ed25519PrivateKey
) -> tuple[bytes, str]:
    """Give a list, signed, and its tag.

    Args:
        tx: The transaction.
        number: The list's.
        log: Name of the feed.
        ahead_days: How far ahead nodes get keys: as long as one may serve alone, its lists hold.
        key: Signs status lists.

    Raises:
        Unknown: There is no such list.
    """
    tag, issued_s = tag_of(tx, number)
    table = tx.session.get_one(StatusTable, number)
    life_s = max(LIFE_S_MIN, (ahead_days + 1) * DAY_S)
    made = make_token(StatusList(
        uri=list_uri(log, number), bits=BITS, statuses=table.entries, issued_s=issued_s,
        expires_s=issued_s + life_s, ttl_s=TTL_S), key)
    return made, tag


def _open_table(tx: Transaction) -> StatusTable:
    """Give the list that takes entries, beginning one where the last is filled; locked."""
    newest = tx.session.scalar(select(func.max(StatusTable.number)))
    if newest is not None:
        table = tx.session.get_one(StatusTable, newest, with_for_update=True)
        if table.used < FILLED_MAX:
            return table
    table = StatusTable(
        number=0 if newest is None else newest + 1, used=0, changed_s=tx.now_s,
        entries=bytes(ENTRIES * BITS // 8))
    tx.session.add(table)
    tx.session.flush()
    return table


def _set(tx: Transaction, table: StatusTable, place: int, status: Status) -> None:
    entries = bytearray(table.entries)
    set_value(entries, BITS, place, VALUES[status])
    table.entries = bytes(entries)
    table.changed_s = max(tx.now_s, table.changed_s + 1)
