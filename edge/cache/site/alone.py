"""What is kept of what a node spent alone, until it is brought to the site.

- The newest count: the higher a step, the longer it can still be shown somewhere.
- Pure; how it is brought there is `edge.cache.site.memory`'s.
"""

from collections import defaultdict
from collections.abc import Iterable
from itertools import islice

ALONE_MAX = 200_000
"""Credentials spent alone that are kept to be merged; the oldest go first."""
Entry = tuple[int, bytes, bool]
"""Step, hidden showing, and whether it was accepted while alone."""
_Spent = tuple[bytes, int, bytes]
"""Credential id, step and showing."""


def newest(spent: Iterable[_Spent]) -> list[_Spent]:
    """Give those of the highest steps, `ALONE_MAX` at most, the highest last."""
    steps: defaultdict[int, list[_Spent]] = defaultdict(list)
    for count, item in enumerate(spent, 1):
        steps[item[1]].append(item)
        if count > ALONE_MAX:
            lowest = min(steps)
            steps[lowest].pop()
            if not steps[lowest]:
                del steps[lowest]
    return [item for step in sorted(steps) for item in steps[step]]


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
    room = max(0, ALONE_MAX - len(shown))
    return dict(islice(older, max(0, len(older) - room), None)) | shown
