"""Merkle tree hashing of the journal (RFC 6962, section 2.1), pure.

- A leaf is SHA-256(0x00 ‖ record), a node SHA-256(0x01 ‖ left ‖ right).
- The frontier is the list of roots of the full subtrees from the left, largest first: it is
  all that appending needs.
"""

from collections.abc import Iterable
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
        node, size = leaf, self.size
        while size & 1:
            node = hash_node(self.subtrees.pop(), node)
            size >>= 1
        self.subtrees.append(node)
        self.size += 1

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
