"""What `/v1/status`, `/readyz` and the status page say of the node."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from edge.clock.system import ClockDetail
from edge.faces import Faces
from edge.protocol.records import Words
from edge.vigil import KeysEnd


class PackShown(msgspec.Struct, frozen=True):
    """The face pack in use, and what it is good for."""

    id: str
    title: str
    licence: str
    embedder: str
    notes: Words


class NodeStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The node at one moment. Ages in whole seconds.

    Attributes:
        ready: Whether it verifies; `not_ready` says why not.
        clock_detail: How far the clock is believed, and why.
        keys_end: When the keys that are held end, and whether that is near.
        scenes_unfit: Scenes whose error rate the face pack can't meet.
        faces: How many holders' faces are held, against the number to file from.
        pack_change: How a change of pack goes, in words; empty where there is none.
        references: Generation of the references, and how many by pack.
    """

    version: str
    node_id: str
    ready: bool
    not_ready: tuple[str, ...]
    mode: Literal["online", "offline"]
    clock: Literal["trusted", "degraded", "untrusted"]
    clock_detail: ClockDetail
    keys_end: KeysEnd
    keys_age_s: int | None
    status_age_s: int | None
    key_epochs: tuple[int, ...]
    scenes: tuple[str, ...]
    scenes_unfit: tuple[str, ...]
    replay_scope: Literal["node", "site"]
    held: Mapping[str, int]
    pack: PackShown
    pack_change: str
    faces: Faces
    references: Mapping[str, int]
    waiting: Mapping[str, int]
    journal: Mapping[str, int | str]
    feed: Mapping[str, int | float | str | None]
    last_rung: str
    uptime_s: int
