"""The bounds of following, and what it says of how it goes."""

import msgspec

from edge.hotpath.keys import RING_DAYS_AHEAD, RING_DAYS_BACK


class FollowerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of the loop.

    Attributes:
        wait_s: How long a poll waits for a change.
        retry_first_s, retry_max_s: Pause after the first failed call, and the longest.
        refused_max_s: Longest pause after something was refused or couldn't be stored.
        failures_to_offline: Failed calls in a row that make an outage.
        root_every_s, clock_every_s: How often these are asked for while all is well.
        keys_retry_s: Pause between tries to get key epochs that are missing.
        snapshot_every_s: Pause between two tries to take a snapshot in.
        early_empty_s: Pause after an empty answer that came too early.
        epochs_back, epochs_ahead: The days of the key ring beside today.
    """

    wait_s: int = 25
    retry_first_s: float = 0.2
    retry_max_s: float = 5.0
    refused_max_s: float = 30.0
    failures_to_offline: int = 2
    root_every_s: float = 3600.0
    clock_every_s: float = 60.0
    keys_retry_s: float = 30.0
    snapshot_every_s: float = 60.0
    early_empty_s: float = 1.0
    epochs_back: int = RING_DAYS_BACK
    epochs_ahead: int = RING_DAYS_AHEAD


class FollowerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How following goes.

    `last_rule` names the trust rule that was broken, if one was; `snapshot` says how far taking one
    in is.
    """

    last_contact_s: float | None
    failures: int
    last_error: str
    last_rule: str
    keys_error: str
    identity_error: str
    snapshot: str = ""
