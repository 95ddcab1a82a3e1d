"""How sync goes, in one struct for `/v1/status` and the metrics.

- Numbers and words only; no secrets, no holder data.
- Not here: whether anything of it is bad enough to alarm.
"""

import msgspec

from edge.hotpath.trust import Mode
from edge.sync.follower import Follower
from edge.sync.shipper import Shipper, ShipState


class SyncStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Feed and journal at one moment.

    Attributes:
        mode: Whether the central platform is in reach.
        last_contact_s: Unix seconds of the last believed answer since the start.
        cursor, head, lag: Changes held, known of, and missing.
        status_as_of_s, keys_as_of_s: See `Trust`.
        root_version, root_expires_s, keys_version: Of what is believed.
        key_epochs: Days whose keys are held.
        keys_pending: Newer ones were announced.
        central_clock_skew_s: Platform's clock minus ours.
        failures: Failed turns in a row.
        last_error, last_rule, keys_error, identity_error: Words of what is wrong now; the trust
            rule broken.
        snapshot: How far taking a snapshot in is; empty while none is.
        journal_state: `idle`, `shipping`, `waiting` or `diverged`.
        journal_acknowledged, journal_size: Records the platform holds, and all there are.
        journal_error: Words of what is wrong now.
    """

    mode: Mode
    last_contact_s: float | None
    cursor: int
    head: int
    lag: int
    status_as_of_s: int | None
    keys_as_of_s: int | None
    root_version: int
    root_expires_s: int
    keys_version: int
    key_epochs: tuple[int, ...]
    keys_pending: bool
    central_clock_skew_s: float | None
    failures: int
    last_error: str
    last_rule: str
    keys_error: str
    snapshot: str
    identity_error: str
    journal_state: ShipState
    journal_acknowledged: int
    journal_size: int
    journal_error: str


def sync_status(follower: Follower, shipper: Shipper) -> SyncStatus:
    """Read both; takes microseconds. The follower must have been started."""
    trust, base = follower.believer.trust, follower.believer.base
    feed, journal = follower.status, shipper.status
    return SyncStatus(
        mode=trust.mode,
        last_contact_s=feed.last_contact_s,
        cursor=base.mark.cursor,
        head=base.mark.head,
        lag=base.mark.lag,
        status_as_of_s=trust.status_as_of_s,
        keys_as_of_s=trust.keys_as_of_s,
        root_version=base.root.version,
        root_expires_s=base.root.expires_s,
        keys_version=base.mark.keys_version,
        key_epochs=trust.keys.key_epochs,
        keys_pending=base.mark.keys_pending,
        central_clock_skew_s=trust.central_clock_skew_s,
        failures=feed.failures,
        last_error=feed.last_error,
        last_rule=feed.last_rule,
        keys_error=feed.keys_error,
        snapshot=feed.snapshot,
        identity_error=feed.identity_error,
        journal_state=journal.state,
        journal_acknowledged=journal.acknowledged,
        journal_size=journal.size,
        journal_error=journal.last_error,
    )
