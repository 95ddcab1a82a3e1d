"""What a node tells the central platform of itself, for whoever looks after a fleet.

- No holder data; everything is also in the node's own `/v1/status`.
"""

import msgspec

REPORT_BYTES_MAX = 16 * 1024
FILING_FROM = 100_000
"""Faces from which the operator files with the regulator (China, measures on face recognition)."""


class NodeReport(msgspec.Struct, frozen=True, kw_only=True):
    """A node at one moment. Ages in whole seconds, None if there never was any.

    Attributes:
        problems: Why it doesn't verify, in words; empty when it does.
        scenes_unfit: Scenes of its gates whose error rate its face pack can't meet.
        cursor: Number of the first change of the feed that it doesn't hold yet.
        unshipped: Journal records that the platform may not hold.
    """

    version: str
    ready: bool
    problems: tuple[str, ...]
    clock: str
    cursor: int
    keys_age_s: int | None
    status_age_s: int | None
    face_pack: str
    scenes_unfit: tuple[str, ...]
    held: dict[str, int]
    unshipped: int
    uptime_s: int
