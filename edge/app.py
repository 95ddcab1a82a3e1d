"""Builds the node's concrete objects, starts them in order and stops them in reverse.

- The one place where rooms are wired together, and the only one with long-lived state.
- Ready means: enrolled, trust held, pack warm, journal open.
- Stopping: no new calls, those in flight finish, records are durable, a checkpoint is
  signed.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version

from edge.audit.journal import FileJournal, JournalOptions
from edge.cache.guard import LmdbReplayGuard, read_boot_id
from edge.cache.store import LmdbStore
from edge.capture.reader import FrameReader
from edge.capture.zbar_child import ZbarChild
from edge.clock import SystemClock
from edge.config import EdgeConfig
from edge.errors import ConfigError, OperatingError
from edge.hotpath.keys import KeyRing
from edge.hotpath.merkle import hash_leaf
from edge.hotpath.presentation import DriftWindow, check_presentation
from edge.hotpath.trust import Trust
from edge.imaging import ImageLimits
from edge.metrics import Gauges, NodeMetrics
from edge.models.convert import PACK_ID, Progress, ensure_default_pack
from edge.models.engine import FaceEngine
from edge.node_key import NodeKey, load_or_create_node_key
from edge.pipeline.ids import RandomIds
from edge.pipeline.verify import Verifier
from edge.pipeline.workers import WorkerPool
from edge.protocol.journal import EventRecord, Receipt, VerificationRecord, decode_record
from edge.protocol.kh1 import step_at
from edge.sync.client import CentralClient
from edge.sync.follower import Follower, FollowerOptions
from edge.sync.shipper import Shipper
from edge.sync.state import load_enrolment
from edge.sync.status import sync_status
from edge.web.listen import serve
from edge.web.server import Server
from edge.web.status import NodeStatus, PackShown

_LOG = logging.getLogger(__name__)
STEPS_AHEAD_MAX = 2
"""Of the restart's own window, where no policy is held yet."""
META_CENTRAL_URL = "app.central_url"


def node_version() -> str:
    """Give the installed version."""
    return version("kanhe")


def open_store(config: EdgeConfig) -> tuple[NodeKey, LmdbStore]:
    """Open key and store of a data folder, making them if they aren't there.

    Raises:
        OperatingError: Key file or store is damaged; the message says what to do.
    """
    key = load_or_create_node_key(config.data_dir / "node.key")
    return key, LmdbStore(config.data_dir / "cache", key.derive)


class Node:
    """One running node."""

    def __init__(self, config: EdgeConfig, progress: Progress) -> None:
        """Build everything that needs no event loop; `progress` hears of the pack's making.

        Raises:
            OperatingError: Something can't be opened; the message says what to do.
        """
        self.config = config
        self._started_s = time.monotonic()
        self._key, self._store = open_store(config)
        enrolment = load_enrolment(self._store)
        url = config.central.url or (self._store.meta(META_CENTRAL_URL) or b"").decode()
        if enrolment is None or not url:
            raise ConfigError(
                f"this node isn't enrolled: run `kanhe edge enrol --url … --code …` for the data "
                f"folder {config.data_dir}"
            )
        if config.face_pack == PACK_ID:
            ensure_default_pack(config.packs_folder, progress)
        image_limits = ImageLimits(
            bytes_max=config.limits.image_bytes_max, pixels_max=config.limits.image_pixels_max
        )
        self._face = FaceEngine(config.packs_folder / config.face_pack, image_limits)
        self._zbar = ZbarChild()
        reader = FrameReader(self._zbar, image_limits, config.limits.code_budget_s)
        self._journal = FileJournal(
            config.data_dir / "journal", self._key.signing,
            JournalOptions(segment_bytes=config.journal.segment_bytes,
                           retire_age_s=config.journal.retire_days * 86_400),
        )
        self._guard = self._open_guard()
        self._client = CentralClient(url, token=enrolment.token)
        self._trust: Trust | None = None
        self._clock = SystemClock(
            lambda: self._trust.central_clock_skew_s if self._trust else None
        )
        self._follower = Follower(
            central=self._client, store=self._store, seal_private=self._key.sealing,
            publish=self._publish, now=self._clock.now_s,
            options=FollowerOptions(wait_s=config.central.poll_s,
                                    epochs_back=config.keys.days_back,
                                    epochs_ahead=config.keys.days_ahead),
        )
        self._shipper = Shipper(central=self._client, journal=self._journal)
        self.metrics = NodeMetrics(node_version())
        self._code_pool, self._face_pool = _pools(config)
        self.verifier = self._build_verifier(reader, image_limits)
        self.metrics.gauges(self._gauges())

    def _build_verifier(self, reader: FrameReader, image_limits: ImageLimits) -> Verifier:
        return Verifier(
            trust=self.trust, clock=self._clock, cache=self._store, guard=self._guard,
            journal=self._journal, reader=reader, face=self._face, code_pool=self._code_pool,
            face_pool=self._face_pool, observer=self, new_id=RandomIds(),
            monotonic=time.monotonic, image_limits=image_limits,
            answers_kept_s=self.config.journal.answers_kept_s,
        )

    def _gauges(self) -> Gauges:
        """Give what is read of the node when it is scraped."""
        return {
            "kanhe_online": ("1 if the central platform is in reach.",
                             lambda: self.trust().mode == "online"),
            "kanhe_keys_age_seconds": ("Age of the keys.",
                                       lambda: self.trust().keys_age_s(time.time())),
            "kanhe_status_age_seconds": ("Age of the status.",
                                         lambda: self.trust().status_age_s(time.time())),
            "kanhe_clock_trusted": ("1 if the clock is trusted.",
                                    lambda: self._clock.state == "trusted"),
            "kanhe_journal_records": ("Durable records.", lambda: self._journal.size),
            "kanhe_journal_unshipped": (
                "Records that the central platform may not hold.",
                lambda: self._journal.size - self._journal.acknowledged),
            "kanhe_waiting_codes": ("Frames that wait.", lambda: self._code_pool.waiting),
            "kanhe_waiting_faces": ("Captures that wait.", lambda: self._face_pool.waiting),
            "kanhe_open_verifications": ("Verifications that wait for a face.",
                                         lambda: len(self.verifier.open)),
        }

    def trust(self) -> Trust:
        """Give what the node trusts now."""
        assert self._trust is not None, "asked before the start"
        return self._trust

    def observed(self, record: VerificationRecord, timings_ms: Mapping[str, float]) -> None:
        """Count an answer and let its record be shipped."""
        self.metrics.observed(record, timings_ms)
        self._shipper.wake()

    async def start(self) -> None:
        """Take up trust and recent answers, warm the pack, begin to sync.

        Raises:
            OperatingError: The store or the journal can't be taken up.
        """
        loop = asyncio.get_running_loop()
        await self._follower.start()
        await loop.run_in_executor(None, self._warm)
        self._restore_answers()
        await self._shipper.start()
        await self._journal.append(self._event("node.started"))
        self._shipper.wake()

    async def stop(self) -> None:
        """Stop in reverse order; what is in flight has finished before."""
        with contextlib.suppress(OperatingError):
            await self._journal.append(self._event("node.stopped"))
        await self._shipper.stop()
        await self._follower.stop()
        await self._client.close()
        self._code_pool.close()
        self._face_pool.close()
        self._zbar.close()
        self._journal.close()
        self._guard.close()
        self._store.close()

    def server(self) -> Server:
        """Build the HTTP surface."""
        return Server(
            verifier=self.verifier, gates=lambda: self.trust().gates, status=self.status,
            metrics=self.metrics, limits=self.config.limits, version=node_version(),
        )

    def status(self) -> NodeStatus:
        """Say how the node is."""
        trust, now = self.trust(), self._clock.now_s()
        sync = sync_status(self._follower, self._shipper)
        problems = []
        if not trust.policies:
            problems.append("no scene is known yet: the central platform wasn't reached")
        if not len(trust.keys):
            problems.append("no keys are held yet: the central platform wasn't reached")
        if self._journal.failure:
            problems.append(self._journal.failure)
        manifest = self._face.manifest
        unfit = tuple(
            scene for scene, policy in trust.policies.items()
            if policy.face != "off" and self._face.threshold(policy.fmr_max) is None
            and not policy.pack_override
        )
        return NodeStatus(
            version=node_version(), node_id=trust.node_id, ready=not problems,
            not_ready=tuple(problems), mode=trust.mode, clock=self._clock.state,
            keys_age_s=trust.keys_age_s(now), status_age_s=trust.status_age_s(now),
            key_epochs=trust.keys.key_epochs, scenes=tuple(sorted(trust.policies)),
            scenes_unfit=unfit, replay_scope=self._guard.scope, held=self._store.counts(),
            pack=PackShown(manifest.id, manifest.title, manifest.licence,
                           self._face.embedder_file, manifest.notes),
            waiting={"codes": self._code_pool.waiting, "faces": self._face_pool.waiting,
                     "records": self._journal.waiting},
            journal={"log": self._journal.log, "size": self._journal.size,
                     "acknowledged": self._journal.acknowledged,
                     "state": sync.journal_state, "error": sync.journal_error},
            feed={"cursor": sync.cursor, "head": sync.head, "lag": sync.lag,
                  "error": sync.last_error, "last_contact_s": sync.last_contact_s,
                  "central_clock_skew_s": sync.central_clock_skew_s},
            last_rung="zbar" if self._zbar.available else "off: libzbar0 isn't installed",
            uptime_s=int(time.monotonic() - self._started_s),
        )

    def _publish(self, trust: Trust) -> None:
        self._trust = trust

    def _warm(self) -> None:
        """Load and compile what the first call would otherwise wait for."""
        check_presentation("KH1:BB8", 0.0, KeyRing(), DriftWindow())
        self._face.warm()
        self._zbar.warm()

    def _open_guard(self) -> LmdbReplayGuard:
        """Open the guard; a node whose journal is empty has nothing spent yet."""
        ahead = max([STEPS_AHEAD_MAX, *(p.steps_ahead for p in self._store.policies().values())])
        floor = step_at(time.time()) + ahead if self._journal.size else 0
        return LmdbReplayGuard(
            self.config.data_dir / "guard", self._key.derive, boot_id=read_boot_id(),
            restart_floor=floor,
        )

    def _restore_answers(self) -> None:
        """Take up the answers of the last minutes from the journal."""
        now = self._clock.now_s()
        first = self._journal.first_since(now - self.config.journal.answers_kept_s)
        for index, data in self._journal.recent(first):
            record = decode_record(data)
            if isinstance(record, VerificationRecord):
                receipt = Receipt(self._journal.log, index, hash_leaf(data).hex())
                self.verifier.answers.restore(record, receipt, now - record.at_ms / 1e3)

    def _event(self, name: str) -> EventRecord:
        return EventRecord(
            at_ms=int(self._clock.now_s() * 1000), event=name,
            detail={"version": node_version(), "pack": self._face.pack_id},
        )


def _pools(config: EdgeConfig) -> tuple[WorkerPool, WorkerPool]:
    workers = config.workers
    return (
        WorkerPool("kanhe-code", workers.code_threads, workers.code_waiting_max),
        WorkerPool("kanhe-face", workers.face_threads, workers.face_waiting_max),
    )


async def run_node(
    config: EdgeConfig, ready: Callable[[str], None], stop: asyncio.Event, progress: Progress
) -> None:
    """Run a node until `stop` is set.

    Args:
        config: The node's.
        ready: Told the node's address once it answers.
        stop: Set to stop gracefully.
        progress: Hears of the face pack's making.

    Raises:
        OperatingError: It can't start.
    """
    node = Node(config, progress)
    await node.start()
    try:
        await serve(node.server().application(), config.listen, ready, stop)
    finally:
        await node.stop()
