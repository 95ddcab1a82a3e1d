"""What a node says of itself: its status and what is measured of it when asked.

- Read from the running parts at the moment of asking; nothing is kept here.
"""

import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edge.audit.journal import FileJournal
from edge.cache.gallery.gallery import Gallery
from edge.cache.guard import MappedReplayGuard
from edge.cache.store import LmdbStore
from edge.capture.zbar_child import ZbarChild
from edge.clock import SystemClock
from edge.crew.crew import Crew
from edge.faces import judge_faces, pack_change
from edge.holding import Holding
from edge.hotpath.trust import Trust
from edge.models.engine import FaceEngine
from edge.pipeline.verify import Verifier
from edge.pipeline.workers import WorkerPool
from edge.protocol.report import NodeReport
from edge.rates import NodeRates
from edge.sync.follower import Follower
from edge.sync.shipper import Shipper
from edge.sync.status import sync_status
from edge.vigil import Vigil
from edge.web.status import GalleryShown, NodeStatus, PackShown

if TYPE_CHECKING:  # redis-py is only loaded where there is a Redis
    from edge.cache.site.site import Site


def node_version() -> str:
    """Give the installed version."""
    return version("kanhe")


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of a node that are reported on."""

    version: str
    trust: Callable[[], Trust]
    clock: SystemClock
    vigil: Vigil
    store: LmdbStore
    gallery: Gallery
    holding: Holding
    journal: FileJournal
    guard: MappedReplayGuard
    follower: Follower
    shipper: Shipper
    face: FaceEngine
    rates: NodeRates
    pack_wanted: str
    code_pool: WorkerPool
    face_pool: WorkerPool
    verifier: Verifier
    zbar: ZbarChild
    started_s: float
    folder: Path
    crew: Callable[[], Crew | None]
    site: "Site | None"

    @property
    def processes(self) -> dict[str, int]:
        """Count the processes that serve, and how often one was started again."""
        crew = self.crew()
        return {
            "wanted": crew.wanted if crew else 1,
            "serving": 1 + (crew.lines.serving if crew else 0),
            "restarts": crew.restarts if crew else 0,
        }

    @property
    def ready(self) -> bool:
        """Whether the node verifies."""
        return not self.problems()

    def problems(self) -> tuple[str, ...]:
        """Say why it doesn't verify; empty if it does."""
        trust, problems = self.trust(), []
        if not trust.policies:
            problems.append("no scene is known yet: the central platform wasn't reached")
        if not len(trust.keys):
            problems.append("no keys are held yet: the central platform wasn't reached")
        if self.journal.failure:
            problems.append(self.journal.failure)
        return tuple(problems)

    def scenes_unfit(self) -> tuple[str, ...]:
        """Name the scenes of gates here whose error rate the face pack can't meet."""
        return self.rates.unserved(self.trust().gates.values())

    def moment(self) -> dict[str, float | None]:
        """Give what the status page draws beside the answers."""
        trust, now = self.trust(), self.clock.now_s()
        skew_s = trust.central_clock_skew_s
        return {
            "waiting_codes": self.code_pool.waiting, "waiting_faces": self.face_pool.waiting,
            "keys_age_s": trust.keys_age_s(now), "status_age_s": trust.status_age_s(now),
            "behind": self.follower.believer.base.mark.lag,
            "unshipped": self.journal.size - self.journal.acknowledged,
            "skew_ms": None if skew_s is None else skew_s * 1e3,
        }

    def for_central(self) -> NodeReport:
        """Give what the central platform is told."""
        status = self.status()
        return NodeReport(
            version=status.version, ready=status.ready, problems=status.not_ready,
            clock=status.clock, cursor=self.trust().cursor, keys_age_s=status.keys_age_s,
            status_age_s=status.status_age_s, face_pack=status.pack.id,
            scenes_unfit=status.scenes_unfit, held={**status.held, "faces": status.faces.held},
            unshipped=self.journal.size - self.journal.acknowledged, uptime_s=status.uptime_s,
        )

    def status(self) -> NodeStatus:
        """Say how the node is."""
        trust, now = self.trust(), self.clock.now_s()
        sync = sync_status(self.follower, self.shipper)
        problems = self.problems()
        manifest = self.face.manifest
        scenes = self.rates.shown()
        return NodeStatus(
            version=self.version, node_id=trust.node_id, ready=not problems,
            not_ready=problems, mode=trust.mode, clock=self.clock.state,
            clock_detail=self.clock.detail(), keys_end=self.vigil.keys,
            keys_age_s=trust.keys_age_s(now), status_age_s=trust.status_age_s(now),
            key_epochs=trust.keys.key_epochs, scenes=tuple(sorted(trust.policies)),
            scenes_unfit=self.scenes_unfit(), face_scenes=scenes,
            cohort=self.rates.shown_cohort(),
            replay_scope=self.guard.scope if self.site is None else self.site.memory.scope,
            site={"state": "off"} if self.site is None else self.site.shown(),
            held=self.store.counts(), holding=self.holding.shown,
            pack=PackShown(manifest.id, manifest.title, manifest.licence.title,
                           self.face.embedder_file, manifest.notes,
                           self.face.pad_manifest.id if self.face.pad_manifest else ""),
            pack_change=pack_change(manifest.id, self.pack_wanted, self.store.references_held),
            faces=judge_faces(self.store.faces),
            references={"generation": self.store.generation, **self.store.references_held},
            gallery=GalleryShown(
                references=len(self.gallery), generation=self.store.generation,
                bytes=self.gallery.bytes_used, searches=self.gallery.searches,
                search_s=round(self.gallery.search_s, 3)),
            status_lists={"held": len(trust.lists), "age_s": self.follower.lists.age_s(now),
                          "error": self.follower.lists.error},
            waiting={"codes": self.code_pool.waiting, "faces": self.face_pool.waiting,
                     "records": self.journal.waiting},
            journal={"log": self.journal.log, "size": self.journal.size,
                     "acknowledged": self.journal.acknowledged,
                     "countersigned": self.journal.countersigned,
                     "bytes": self.journal.disk_bytes,
                     "accepting": "yes" if self.journal.accepting else "no",
                     "failure": self.journal.failure,
                     "state": sync.journal_state, "error": sync.journal_error},
            feed={"cursor": sync.cursor, "head": sync.head, "lag": sync.lag,
                  "error": sync.last_error, "identity_error": sync.identity_error,
                  "snapshot": sync.snapshot,
                  "last_contact_s": sync.last_contact_s,
                  "central_clock_skew_s": sync.central_clock_skew_s},
            processes=self.processes,
            last_rung="zbar" if self.zbar.available else "off: libzbar0 isn't installed",
            uptime_s=int(time.monotonic() - self.started_s),
        )
