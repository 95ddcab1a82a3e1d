"""What is kept of what a node spent alone, until it is brought to the site.

- The newest count: the higher a step, the longer it can still be shown somewhere.
- Pure; how it is brought there is `edge.cache.site.memory`'s.
"""

import heapq
from collections.abc import Iterable
from operator import itemgetter

ALONE_MAX = 200_000
"""Credentials spent alone that are kept to be merged; the oldest go first."""
Entry = tuple[int, bytes, bool]
"""Step, hidden showing, and whether it was accepted while alone."""
_Spent = tuple[bytes, int, bytes]
"""Credential id, step and showing."""


def newest(spent: Iterable[_Spent]) -> list[_Spent]:
    """Give those of the highest steps, `ALONE_MAX` at most, the highest last."""
    return heapq.nlargest(ALONE_MAX, spent, key=itemgetter(1))[::-1]


def with_recalled(
    kept: dict[bytes, Entry], recalled: dict[bytes, Entry], least: int
) -> dict[bytes, Entry]:
    """Put what was recalled before what was kept, as far as there is room.

    Args:
        kept: By hidden id, what was spent since the site was last asked: nothing else is newer.
        recalled: By hidden id, the highest step last.
        least: The lowest step that can still be shown; what is kept of lower ones is left out.
    """
    shown = {hidden: entry for hidden, entry in kept.items() if entry[0] >= least}
    older = [item for item in recalled.items() if item[0] not in shown]
    beyond = len(older) + len(shown) - ALONE_MAX
    return dict(older[max(0, beyond):]) | shown
