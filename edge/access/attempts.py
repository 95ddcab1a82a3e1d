"""Tries at a secret are counted: whoever guesses waits, the owner elsewhere doesn't.

- By (name, address), by address and by name, each with a bound of its own in one window; the
  first is tight, the last wide, so that guessing at a name from afar doesn't lock its owner out.
- Bounded memory: when the table is full, the oldest counts are forgotten first.
"""

from collections import OrderedDict

import msgspec

WINDOW_S = 900.0
TRIES_BY_PAIR_MAX = 5
TRIES_BY_ADDRESS_MAX = 30
TRIES_BY_NAME_MAX = 100
COUNTS_MAX = 50_000


class _Count(msgspec.Struct):
    until_s: float
    failures: int = 0


class Attempts:
    """Counts failed tries; times are seconds of one clock."""

    def __init__(self, window_s: float = WINDOW_S, counts_max: int = COUNTS_MAX) -> None:
        """Begin with none."""
        self._window_s, self._counts_max = window_s, counts_max
        self._counts: OrderedDict[str, _Count] = OrderedDict()

    def wait_s(self, name: str, address: str, now: float) -> float:
        """Give how many seconds to wait before the next try, 0 if none."""
        waits = [0.0]
        for key, most in _keys(name, address):
            count = self._counts.get(key)
            if count is not None and count.until_s > now and count.failures >= most:
                waits.append(count.until_s - now)
        return max(waits)

    def failed(self, name: str, address: str, now: float) -> None:
        """Count a failed try."""
        for key, _ in _keys(name, address):
            count = self._counts.get(key)
            if count is None or count.until_s <= now:
                count = self._counts[key] = _Count(now + self._window_s)
                self._counts.move_to_end(key)
            count.failures += 1
        while len(self._counts) > self._counts_max:
            self._counts.popitem(last=False)

    def succeeded(self, name: str, address: str) -> None:
        """Forget the failures of this name from this address."""
        self._counts.pop(_keys(name, address)[0][0], None)


def _keys(name: str, address: str) -> tuple[tuple[str, int], ...]:
    return (
        (f"pair {address} {name}", TRIES_BY_PAIR_MAX),
        (f"address {address}", TRIES_BY_ADDRESS_MAX),
        (f"name {name}", TRIES_BY_NAME_MAX),
    )
