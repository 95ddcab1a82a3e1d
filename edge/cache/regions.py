"""Regions of a feed: whose records a node holds that is there for some of them.

- A credential and a reference carry their holder's region; everything else is of nobody, and held.
- Which regions the feed was seen to name is remembered, up to a bound: a configured one that is not
  among them is written wrongly, or the platform gives its holders none yet.
- Pure. Not here: the store (edge.cache.selective), and taking a snapshot in (edge.bootstrap).
"""

from collections.abc import Iterable

from edge.protocol.feed import Change, PutCredential, PutReference

Regions = frozenset[str]
NONE: Regions = frozenset()
SEEN_MAX = 1_000
"""Other than the configured ones."""


def region_of(change: Change) -> str | None:
    """Give the region of a record, empty if it has none; None for what is of nobody."""
    if isinstance(change, PutCredential):
        return change.credential.region
    return change.reference.region if isinstance(change, PutReference) else None


def is_of(regions: Regions, change: Change) -> bool:
    """Say whether a change is for a node of these regions."""
    region = region_of(change)
    return region is None or region in regions


def seen_with(seen: Regions, names: Iterable[str | None], regions: Regions) -> Regions:
    """Add what records name to the regions seen; what is of `regions` whatever the bound."""
    new = {name for name in names if name} - seen
    room = max(0, SEEN_MAX - len(seen))
    return seen | (new & regions) | frozenset(sorted(new)[:room]) if new else seen


def packed(regions: Regions) -> bytes:
    """Give regions as they are kept."""
    return "\n".join(sorted(regions)).encode()


def unpacked(kept: bytes | None) -> Regions:
    """Give regions that were kept; none for nothing."""
    return frozenset(kept.decode().split("\n")) if kept else NONE
