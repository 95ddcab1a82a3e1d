"""References as the rooms beside the store see them.

- A sink is told of every reference after the transaction that changed it, in the feed's order: an
  index in memory that reads the store once at the start and then listens is never behind.
- Rows are in stored space (`edge.hotpath.renewal`), all of one generation.
- Not here: the tables (edge.cache.store).
"""

from typing import Protocol

import numpy as np
import numpy.typing as npt

PURPOSE_IDENTIFICATION = "identification"
PURPOSE_VERIFICATION = "verification"


class ReferenceSink(Protocol):
    """Follows the references of one purpose, on the thread that writes; raises nothing.

    Make it known to the store before reading `LmdbStore.references`, so that nothing falls between;
    the same row may then come twice.
    """

    def put(self, holder_id: bytes, pack: str, row: npt.NDArray[np.int8]) -> None:
        """Take a reference, new or in place of an older one; `row` is int8, shape (d,)."""
        ...

    def drop(self, holder_id: bytes, pack: str) -> None:
        """Forget a reference, if it was held."""
        ...


def admits(purpose: str, wanted: str) -> bool:
    """Tell whether a reference given for `purpose` may be used for `wanted`.

    Who agreed to be known without a code agreed to the comparison with one, not the other way.
    """
    return purpose in {wanted, PURPOSE_IDENTIFICATION}
