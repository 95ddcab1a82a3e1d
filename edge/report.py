"""What a node says of itself: its status and what is measured of it when asked.

- Read from the running parts at the moment of asking; nothing is kept here.
"""

import time
from collections.abc import Callable
from importlib.metadata import version

import msgspec

from edge.audit.journal import FileJournal
from edge.cache.guard import LmdbReplayGuard
from edge.cache.store import LmdbStore
from edge.capture.zbar_child import ZbarChild
from edge.clock import SystemClock
from edge.faces import judge_faces, pack_change
from edge.hotpath.trust import Trust
from edge.metrics import Gauges
from edge.models.engine import FaceEngine
from edge.pipeline.verify import Verifier
from edge.pipeline.workers import WorkerPool
from edge.protocol.report import NodeReport
from edge.rates import NodeRates
from edge.sync.follower import Follower
from edge.sync.shipper import Shipper
from edge.sync.status import sync_status
from edge.web.status import NodeStatus, PackShown


def node_version() -> str:
    """Give the installed version."""
    return version("kanhe")


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of a node that are reported on."""

    trust: Callable[[], Trust]
    clock: SystemClock
    store: LmdbStore
    journal: FileJournal
    guard: LmdbReplayGuard
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

    def gauges(self) -> Gauges:
        """Give what is read of the node when it is scraped."""
        return {
            "kanhe_online": ("1 if the central platform is in reach.",
                             lambda: self.trust().mode == "online"),
            "kanhe_keys_age_seconds": ("Age of the keys.",
                                       lambda: self.trust().keys_age_s(time.time())),
            "kanhe_status_age_seconds": ("Age of the status.",
                                         lambda: self.trust().status_age_s(time.time())),
            "kanhe_clock_trusted": ("1 if the clock is trusted.",
                                    lambda: self.clock.state == "trusted"),
            "kanhe_journal_records": ("Durable records.", lambda: self.journal.size),
            "kanhe_journal_unshipped": (
                "Records that the central platform may not hold.",
                lambda: self.journal.size - self.journal.acknowledged),
            "kanhe_faces_held": ("Holders whose face is held.", lambda: self.store.faces),
            "kanhe_references_generation": ("Generation of the references.",
                                            lambda: self.store.generation),
            "kanhe_waiting_codes": ("Frames that wait.", lambda: self.code_pool.waiting),
            "kanhe_waiting_faces": ("Captures that wait.", lambda: self.face_pool.waiting),
            "kanhe_scenes_unfit": ("Scenes that the face pack can't serve.",
                                   lambda: sum(bool(item.why) for item in self.rates.shown())),
            "kanhe_cohort_identities": ("Identities that scores are held against.",
                                        lambda: self.rates.identities),
            "kanhe_open_verifications": ("Verifications that wait for a face.",
                                         lambda: len(self.verifier.open)),
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
        problems = []
        if not trust.policies:
            problems.append("no scene is known yet: the central platform wasn't reached")
        if not len(trust.keys):
            problems.append("no keys are held yet: the central platform wasn't reached")
        if self.journal.failure:
            problems.append(self.journal.failure)
        manifest = self.face.manifest
        scenes = self.rates.shown()
        return NodeStatus(
            version=node_version(), node_id=trust.node_id, ready=not problems,
            not_ready=tuple(problems), mode=trust.mode, clock=self.clock.state,
            keys_age_s=trust.keys_age_s(now), status_age_s=trust.status_age_s(now),
            key_epochs=trust.keys.key_epochs, scenes=tuple(sorted(trust.policies)),
            scenes_unfit=tuple(item.scene for item in scenes if item.why and not item.override),
            face_scenes=scenes, cohort=self.rates.shown_cohort(),
            replay_scope=self.guard.scope, held=self.store.counts(),
            pack=PackShown(manifest.id, manifest.title, manifest.licence.title,
                           self.face.embedder_file, manifest.notes),
            pack_change=pack_change(manifest.id, self.pack_wanted, self.store.references_held),
            faces=judge_faces(self.store.faces),
            references={"generation": self.store.generation, **self.store.references_held},
            waiting={"codes": self.code_pool.waiting, "faces": self.face_pool.waiting,
                     "records": self.journal.waiting},
            journal={"log": self.journal.log, "size": self.journal.size,
                     "acknowledged": self.journal.acknowledged,
                     "state": sync.journal_state, "error": sync.journal_error},
            feed={"cursor": sync.cursor, "head": sync.head, "lag": sync.lag,
                  "error": sync.last_error, "snapshot": sync.snapshot, "last_contact_s": sync.last_contact_s,
                  "central_clock_skew_s": sync.central_clock_skew_s},
            last_rung="zbar" if self.zbar.available else "off: libzbar0 isn't installed",
            uptime_s=int(time.monotonic() - self.started_s),
        )
