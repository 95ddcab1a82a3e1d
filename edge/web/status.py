"""What `/v1/status`, `/readyz` and the status page say of the node; kept for a moment."""

import time
from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

from edge.clock.system import ClockDetail
from edge.faces import Faces
from edge.hotpath.rates import CohortPoint
from edge.protocol.records import Words
from edge.vigil import KeysEnd

STATUS_KEPT_S = 0.1
"""Making a status costs as much as five codes; whoever asks again and again gets the same."""


class PackShown(msgspec.Struct, frozen=True):
    """The face pack in use, and what it is good for; `pad` is the pack that finds attacks."""

    id: str
    title: str
    licence: str
    embedder: str
    notes: Words
    pad: str = ""


class SceneFace(msgspec.Struct, frozen=True, kw_only=True):
    """How faces are judged in one scene.

    Attributes:
        fit: Whether the pack serves the scene's error rates.
        why: `fmr_unserved`, `fnmr_too_high` or `fnmr_unknown`; empty if it is fit.
        override: The policy's words that let an unfit pack judge; empty = it refers.
        fmr_max, fnmr_max: What the policy asks for.
        fmr, fnmr: Of the threshold in use, as measured; None = unknown or none in use.
        search_fit, search_why: The same of a search without a code, at the gallery's size; None
            where the policy allows none.
        search_fmr: What such a search needs of each comparison.
    """

    scene: str
    fit: bool
    why: str
    override: str
    fmr_max: float
    fnmr_max: float | None
    fmr: float | None
    fnmr: float | None
    threshold: float | None
    scale: Literal["raw", "normalised"]
    calibration: Literal["pack", "site", "cohort"]
    search_fit: bool | None = None
    search_why: str = ""
    search_fmr: float | None = None


class CohortShown(msgspec.Struct, frozen=True, kw_only=True):
    """The population that scores are held against.

    Attributes:
        identities: Held; with fewer than `identities_min` scores stay raw.
        version, calibrated_version: Rises with every change; as it was when thresholds were read.
        renewed_s: Unix seconds of the newest calibration, None if there is none.
        points: Thresholds with their 95 % intervals and the errors behind them.
    """

    identities: int
    identities_min: int
    version: int
    calibrated_version: int | None
    renewed_s: int | None
    points: tuple[CohortPoint, ...]


class HoldingShown(msgspec.Struct, frozen=True, kw_only=True):
    """What is held, and how.

    Attributes:
        mode: `all`, `region`, `arrivals` or `demand`.
        regions, regions_unseen: Of which everything is held; of them, which nothing of the feed has
            named so far.
        entries, entries_max: Credentials that have an end, and how many may; None in `all`.
        oldest_age_s: Seconds since the one that is held longest came; None = there is none.
        lapsed: How many went since the start, by why: `time`, `room`, `unknown` at the platform,
            `moved` to another region.
    """

    mode: str
    entries: int
    entries_max: int | None
    oldest_age_s: int | None
    lapsed: dict[str, int]
    regions: tuple[str, ...] = ()
    regions_unseen: tuple[str, ...] = ()


class GalleryShown(msgspec.Struct, frozen=True, kw_only=True):
    """What may be searched for a face without a code.

    Attributes:
        references: Held with the purpose `identification`.
        generation: Of the secret that they are rotated by.
        bytes: On the disk, mapped into memory.
        searches, search_s: Since the start, and their seconds together.
    """

    references: int
    generation: int
    bytes: int
    searches: int
    search_s: float


class NodeStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The node at one moment. Ages in whole seconds.

    Attributes:
        ready: Whether it verifies; `not_ready` says why not.
        clock_detail: How far the clock is believed, and why.
        keys_end: When the keys that are held end, and whether that is near.
        scenes_unfit: Scenes that a gate may ask for here and whose error rates the face pack can't
            meet, not overridden; `face_scenes` says so of those that no gate asks for, too.
        face_scenes: How each scene with a face is judged.
        cohort: None where the pack's scores aren't normalised.
        replay_scope: How far a code is spent now, `site` if the site's nodes share it.
        site: What is shared with the site's other nodes and how that is; see docs/redis.md.
        faces: How many holders' faces are held, against the number to file from.
        pack_change: How a change of pack goes, in words; empty where there is none.
        references: Generation of the references, and how many by pack.
        gallery: What may be searched for a face without a code.
        holding: What is held of the city by its configuration, and for how long.
        status_lists: How many are held, the age of the oldest, and what is wrong with fetching.
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
    site: Mapping[str, int | str]
    held: Mapping[str, int]
    holding: HoldingShown
    pack: PackShown
    face_scenes: tuple[SceneFace, ...]
    cohort: CohortShown | None
    pack_change: str
    faces: Faces
    references: Mapping[str, int]
    gallery: GalleryShown
    status_lists: Mapping[str, int | str | None]
    waiting: Mapping[str, int]
    processes: Mapping[str, int]
    journal: Mapping[str, int | str]
    feed: Mapping[str, int | float | str | None]
    last_rung: str
    uptime_s: int


class KeptStatus:
    """The status of this moment, made once for all who ask within it."""

    def __init__(
        self, make: Callable[[], NodeStatus], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Take what makes a status, and what gives seconds."""
        self._make, self._monotonic = make, monotonic
        self._encode = msgspec.json.Encoder().encode
        self._until_s = float("-inf")
        self._status: NodeStatus | None = None
        self._body = b""

    def now(self) -> NodeStatus:
        """Give the status, at most `STATUS_KEPT_S` old."""
        now = self._monotonic()
        if self._status is None or now >= self._until_s:
            self._status, self._body = self._make(), b""
            self._until_s = now + STATUS_KEPT_S
        return self._status

    def body(self) -> bytes:
        """Give it as JSON."""
        status = self.now()
        if not self._body:
            self._body = self._encode(status)
        return self._body
