"""Merkle tree hashing and proofs of the journal (RFC 6962, section 2.1), pure.

- A leaf is SHA-256(0x00 ‖ record), a node SHA-256(0x01 ‖ left ‖ right).
- The frontier is the list of roots of the full subtrees from the left, largest first: it is
  all that appending needs.
- Proofs are built from a frontier and the leaves behind it, so a journal whose oldest records
  were retired still proves the rest.
- A check of a proof takes its exact length: nothing may be missing or left over.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()


def hash_leaf(record: bytes) -> bytes:
    """Hash one record."""
    return sha256(b"\x00" + record).digest()


def hash_node(left: bytes, right: bytes) -> bytes:
    """Hash two subtrees."""
    return sha256(b"\x01" + left + right).digest()


class Frontier:
    """The right edge of a growing tree.

    Attributes:
        size: Leaves so far.
        subtrees: Roots of full subtrees, largest first; one a set bit of `size`.
    """

    __slots__ = ("size", "subtrees")

    def __init__(self, size: int = 0, subtrees: Iterable[bytes] = ()) -> None:
        """Begin empty, or take up where a checkpoint left off.

        Raises:
            ValueError: The number of subtrees doesn't fit the size.
        """
        self.size = size
        self.subtrees = list(subtrees)
        if len(self.subtrees) != size.bit_count():
            raise ValueError("a frontier has one subtree a set bit of its size")

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash."""
        self.extend((leaf,))

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Add leaf hashes in their order."""
        size, pop, push = self.size, self.subtrees.pop, self.subtrees.append
        for leaf in leaves:
            node, full = leaf, size
            while full & 1:
                node = hash_node(pop(), node)
                full >>= 1
            push(node)
            size += 1
        self.size = size

    def root(self) -> bytes:
        """Give the tree head's hash."""
        if not self.subtrees:
            return EMPTY_ROOT
        node = self.subtrees[-1]
        for left in reversed(self.subtrees[:-1]):
            node = hash_node(left, node)
        return node

    def copy(self) -> "Frontier":
        """Give an independent copy."""
        return Frontier(self.size, self.subtrees)


class Branch:
    """A stretch of leaves that ends a tree, and the frontier before it: what proofs are built from.

    Attributes:
        first: Index of the first leaf held.
        size: Leaves of the whole tree.
    """

    def __init__(self, before: Frontier, leaves: Sequence[bytes]) -> None:
        """Take the frontier in front of the leaves, and their hashes."""
        self.first, self.size = before.size, before.size + len(leaves)
        self._leaves = leaves
        self._full: dict[tuple[int, int], bytes] = {}
        low, left = 0, before.size
        for node in before.subtrees:
            width = 1 << (left.bit_length() - 1)
            self._full[low, low + width] = node
            low, left = low + width, left - width

    def root(self, size: int | None = None) -> bytes:
        """Give the root of the first `size` leaves, of all where none is said.

        Raises:
            ValueError: It lies before the leaves held, or there are fewer.
        """
        size = self.size if size is None else size
        if not self.first <= size <= self.size:
            raise ValueError(f"sizes {self.first} to {self.size} are known, not {size}")
        return self._node(0, size) if size else EMPTY_ROOT

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """Give the audit path of a leaf in the tree of the first `size` leaves (§2.1.1).

        Raises:
            ValueError: The leaf isn't among those held, or the tree doesn't reach it.
        """
        if not self.first <= index < size <= self.size:
            raise ValueError(f"leaf {index} of a tree of {size} isn't held")
        path: list[bytes] = []
        low, high = 0, size
        while high - low > 1:
            middle = low + _split(high - low)
            if index < middle:
                path.append(self._node(middle, high))
                high = middle
            else:
                path.append(self._node(low, middle))
                low = middle
        return path[::-1]

    def consistency(self, old: int, new: int) -> list[bytes]:
        """Give the proof that the tree of `new` leaves begins with that of `old` (§2.1.2).

        Raises:
            ValueError: `old` is empty or lies before the leaves held, or `new` isn't reached.
        """
        if not max(1, self.first) <= old <= new <= self.size:
            raise ValueError(f"sizes {self.first} to {self.size} are known, not {old} to {new}")
        path: list[bytes] = []
        low, high, whole = 0, new, True
        while high != old:
            middle = low + _split(high - low)
            if old <= middle:
                path.append(self._node(middle, high))
                high = middle
            else:
                path.append(self._node(low, middle))
                low, whole = middle, False
        if not whole:
            path.append(self._node(low, high))
        return path[::-1]

    def _node(self, low: int, high: int) -> bytes:
        """Give the hash over leaves `low … high-1`, whose place is one of the tree's own."""
        if high <= self.first:
            return self._full[low, high]
        if high - low == 1:
            return self._leaves[low - self.first]
        middle = low + _split(high - low)
        return hash_node(self._node(low, middle), self._node(middle, high))


def included(
    index: int, size: int, leaf: bytes, path: Sequence[bytes], root: bytes
) -> bool:
    """Check an audit path: is the leaf at `index` in the tree of `size` with this root.

    The algorithm is RFC 9162, section 2.1.3.2.
    """
    if not 0 <= index < size or any(len(item) != HASH_BYTES for item in (leaf, *path)):
        return False
    place, last, node = index, size - 1, leaf
    for item in path:
        if last == 0:
            return False
        if place & 1 or place == last:
            node = hash_node(item, node)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            node = hash_node(node, item)
        place, last = place >> 1, last >> 1
    return last == 0 and node == root


def consistent(
    old: int, old_root: bytes, new: int, new_root: bytes, path: Sequence[bytes]
) -> bool:
    """Check a consistency proof: does the tree of `new` leaves begin with that of `old`.

    The algorithm is RFC 9162, section 2.1.4.2. An empty tree proves nothing, so it is refused.
    """
    if not 0 < old <= new:
        return False
    if old == new:
        return not path and old_root == new_root
    if any(len(item) != HASH_BYTES for item in (old_root, new_root, *path)):
        return False
    items = list(path)
    if old & (old - 1) == 0:
        items.insert(0, old_root)
    if not items:
        return False
    place, last = old - 1, new - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    was = now = items[0]
    for item in items[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            was, now = hash_node(item, was), hash_node(item, now)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            now = hash_node(now, item)
        place, last = place >> 1, last >> 1
    return last == 0 and was == old_root and now == new_root


def _split(width: int) -> int:
    """Give the largest power of two that is smaller than a width above 1."""
    return 1 << ((width - 1).bit_length() - 1)
