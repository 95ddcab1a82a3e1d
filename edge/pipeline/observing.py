"""Telling the observer of what is durable, where records become so together.

- It raises nothing; if it does all the same, nobody waits for ever: that is what came of them.
"""

from collections.abc import Mapping, Sequence
from itertools import compress
from typing import TypeVar

from edge.pipeline.ports import Observer
from edge.protocol.journal import VerificationRecord

_Found = TypeVar("_Found")


def observed(
    observer: Observer, records: Sequence[VerificationRecord],
    found: Sequence[_Found | Exception], timings_ms: Mapping[str, float],
) -> Sequence[_Found | Exception]:
    """Have those observed that are durable; give what came of each.

    Args:
        observer: Whom to tell.
        records: In the order of `found`.
        found: Of each, where it is, or why it isn't durable; None where it isn't yet.
        timings_ms: Of their stages.
    """
    durable = [item is not None and not isinstance(item, Exception) for item in found]
    if any(durable):
        try:
            observer.observed_all(list(compress(records, durable)), timings_ms)
        except Exception as error:
            return [error if kept else item for item, kept in zip(found, durable, strict=True)]
    return found
