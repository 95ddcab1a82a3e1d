"""The region of a holder: a short code of the issuer's, kept in one place.

- It stands in the holder's row alone. What is published of a holder carries it as it is then.
- Whoever publishes holds the row until the end of the transaction, so that no record with an older
  region comes behind a move.
- Not here: moving a holder (central.registry), and what a node makes of it (edge.cache.regions).
"""

import re
from collections.abc import Collection

from sqlalchemy import select

from central.errors import Invalid
from central.schema import Holder
from central.store import Transaction
from edge.protocol.records import REGION_CHARS_MAX, REGION_PATTERN

_REGION = re.compile(REGION_PATTERN)


def check_region(region: str) -> None:
    """Insist on a code, or on none.

    Raises:
        Invalid: It is neither.
    """
    if region and not _REGION.fullmatch(region):
        raise Invalid(
            f"region: up to {REGION_CHARS_MAX} letters, digits, and . _ - behind the first; "
            "empty for none")


def region_to_publish(tx: Transaction, holder_id: bytes) -> str:
    """Give a holder's region; it stays what it is until the transaction ends."""
    return tx.session.scalar(
        select(Holder.region).where(Holder.id == holder_id).with_for_update()) or ""


def regions_of(tx: Transaction, holder_ids: Collection[bytes]) -> dict[bytes, str]:
    """Give the regions of many holders."""
    rows = tx.session.execute(
        select(Holder.id, Holder.region).where(Holder.id.in_(set(holder_ids))))
    return {row.id: row.region for row in rows}
