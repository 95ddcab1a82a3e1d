"""What the feed said in the last minute of status, and of records that it left aside.

- An answer to a question travels beside the feed: a change may come while its answer, which is
  older, is still on the way. What is put down then is the change.
- Bounded. What had to be forgotten too early makes every answer of that minute unfit, which leaves
  the credential unknown: it is asked for again.
"""

import time
from collections import OrderedDict
from collections.abc import Callable

from edge.protocol.feed import (
    Change,
    DropCredential,
    DropReference,
    PutCredential,
    PutReference,
    PutStatus,
)

KEPT_S = 60.0
"""Longer than an answer lives (30 s) and a call takes."""
ENTRIES_MAX = 20_000
_Key = tuple[str, bytes, str]


def key_of(change: Change) -> _Key | None:
    """Give what a change is of; None where it is neither of a credential nor of a reference."""
    match change:
        case PutCredential(credential=credential):
            return "credential", credential.credential_id, ""
        case DropCredential(credential_id=credential_id):
            return "credential", credential_id, ""
        case PutReference(reference=reference):
            return "reference", reference.holder_id, reference.pack
        case DropReference(holder_id=holder_id, pack=pack):
            return "reference", holder_id, pack
        case PutStatus(status=status):
            return "status", status.credential_id, ""
        case _:
            return None


class Passed:
    """Remembers changes that passed by. On one thread."""

    def __init__(
        self, monotonic: Callable[[], float] = time.monotonic, entries_max: int = ENTRIES_MAX
    ) -> None:
        """Begin with nothing."""
        self._monotonic, self._entries_max = monotonic, entries_max
        self._changes: OrderedDict[_Key, tuple[float, Change]] = OrderedDict()
        self._unfit_until = float("-inf")

    def saw(self, change: Change) -> None:
        """Remember a change."""
        key = key_of(change)
        if key is None:
            return
        now = self._monotonic()
        self._changes.pop(key, None)
        self._changes[key] = now, change
        while self._changes:
            at, _ = next(iter(self._changes.values()))
            if now - at < KEPT_S:
                if len(self._changes) <= self._entries_max:
                    break
                self._unfit_until = at + KEPT_S
            self._changes.popitem(last=False)

    @property
    def fit(self) -> bool:
        """Whether all of the last minute is remembered."""
        return self._monotonic() >= self._unfit_until

    def newer(self, change: Change) -> Change:
        """Give what the feed said instead of a part of an answer, or that part."""
        key = key_of(change)
        found = self._changes.get(key) if key is not None else None
        if found is None or self._monotonic() - found[0] >= KEPT_S:
            return change
        return found[1]
