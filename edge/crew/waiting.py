"""What waits for the keeper at a worker, and who is told what came of it.

- What was asked together may come back in parts; whoever asked is told each as it comes, and of
  nothing twice.
- How many calls wait is bounded.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import cast

import msgspec

from edge.crew.words import Settled, error_of
from edge.errors import CapacityError
from edge.pipeline.codes import Changed, Found
from edge.protocol.journal import Receipt, VerificationRecord, decode_record

WAITING_MAX = 10_000
"""Calls that wait for the keeper at once."""
Told = Sequence[Found | Exception | None]
"""What came of judgements that were asked together; None is what is still open."""
Passed = Callable[[bytes | Exception], None]
"""Is told the response to a call that was passed on."""


class _Open(msgspec.Struct):
    """What was asked together: how much it is, which of it is open, who is told."""

    count: int
    places: set[int]
    settled: Callable[[Told], None]


class Waiting:
    """All that waits, by number."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._items: dict[int, _Open] = {}
        self._number = self._calls = 0
        self._ended: CapacityError | None = None

    def check(self) -> None:
        """Insist that there is room for one more, and somebody who tells.

        Raises:
            CapacityError: There isn't.
        """
        if self._ended is not None:
            raise CapacityError(str(self._ended))
        if self._calls >= WAITING_MAX:
            raise CapacityError("too many calls wait for the node")

    def add(self, count: int, settled: Callable[[Told], None]) -> int:
        """Have `settled` told what comes of so many judgements; gives their number."""
        self._number = number = self._number + 1
        self._items[number] = _Open(count, set(range(count)), settled)
        self._calls += count
        return number

    def add_call(self, answered: Passed) -> int:
        """Have `answered` told what comes of a call that is passed on; gives its number."""

        def settled(found: Told) -> None:
            assert isinstance(found[0], bytes | Exception)
            answered(found[0])

        return self.add(1, settled)

    def take(self, settled: Settled) -> None:
        """Tell what the keeper said."""
        parts: defaultdict[int, dict[int, Found | Exception]] = defaultdict(dict)
        for kept in settled.kept:
            part = parts[kept.number]
            part |= zip(kept.at, kept.receipts, strict=True)
            for at, data in kept.changed.items():
                receipt = part[at]
                assert isinstance(receipt, Receipt)
                part[at] = Changed(cast(VerificationRecord, decode_record(data)), receipt)
        for given in settled.given:
            parts[given.number][given.at] = given.answer
        for refused in settled.refused:
            parts[refused.number][refused.at] = error_of(refused)
        for number, part in parts.items():
            self._tell(number, part)

    def end(self, error: CapacityError) -> None:
        """Tell everybody that nothing more comes."""
        self._ended = error
        for number, item in list(self._items.items()):
            self._tell(number, dict.fromkeys(item.places, error))

    def _tell(self, number: int, part: Mapping[int, Found | Exception]) -> None:
        item = self._items[number]
        item.places -= part.keys()
        self._calls -= len(part)
        if not item.places:
            del self._items[number]
        item.settled([part.get(at) for at in range(item.count)])
