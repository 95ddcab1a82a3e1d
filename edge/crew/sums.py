"""Counts that wait to be said to the keeper: a number by key, of so many keys at most.

- However long the keeper doesn't listen, they grow no further, and no count is lost.
"""

from typing import Generic, TypeVar

_Key = TypeVar("_Key")


class Sums(Generic[_Key]):
    """The counts of one kind."""

    def __init__(self, keys_max: int, other: _Key) -> None:
        """Begin at nothing; what is beyond `keys_max` keys is counted as `other`."""
        self._keys_max, self._other = keys_max, other
        self._counts: dict[_Key, int] = {}

    def add(self, key: _Key) -> None:
        """Count once."""
        counts = self._counts
        if key not in counts and len(counts) >= self._keys_max:
            key = self._other
        counts[key] = counts.get(key, 0) + 1

    def take(self) -> dict[_Key, int]:
        """Give the counts and begin at nothing."""
        counts, self._counts = self._counts, {}
        return counts
