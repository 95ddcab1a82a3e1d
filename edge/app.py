"""Builds the node's concrete objects, starts them in order and stops them in reverse.

- The one place where rooms are wired together, and the only one with long-lived state.
- Ready means: enrolled, trust held, pack warm, journal open.
- Stopping: no new calls, those in flight finish, records are durable, a checkpoint is
  signed.
"""

import asyncio
import contextlib
import logging
import ssl
import time
from collections.abc import Callable, Mapping

from aiohttp import web

from edge.access.listening import Wire, bind, serve
from edge.access.tls import client_context
from edge.audit.journal import FileJournal, JournalOptions
from edge.cache.guard import LmdbReplayGuard, read_boot_id
from edge.cache.store import LmdbStore
from edge.capture.reader import FrameReader
from edge.capture.zbar_child import ZbarChild
from edge.clock import SystemClock
from edge.config import EdgeConfig
from edge.errors import ConfigError, OperatingError
from edge.faces import FaceWatch, pack_to_serve
from edge.front import Front, wire_of
from edge.hotpath.keys import KeyRing
from edge.hotpath.merkle import hash_leaf
from edge.hotpath.presentation import DriftWindow, check_presentation
from edge.hotpath.trust import Trust
from edge.imaging import ImageLimits
from edge.metrics import NodeMetrics
from edge.models.convert import PACK_ID, Progress, ensure_default_pack
from edge.models.engine import FaceEngine
from edge.node_key import NodeKey, load_or_create_node_key
from edge.pipeline.decisions import DECISION_OPEN_S, Decider
from edge.pipeline.ids import RandomIds
from edge.pipeline.looks import Looker
from edge.pipeline.shift import ShiftLog
from edge.pipeline.verify import Verifier
from edge.pipeline.workers import WorkerPool
from edge.protocol.journal import EventRecord, Receipt, VerificationRecord, decode_record
from edge.protocol.kh1 import step_at
from edge.report import Report, node_version
from edge.sync.client import CentralClient
from edge.sync.follower import Follower, FollowerOptions
from edge.sync.identity import Identity
from edge.sync.reporter import Reporter
from edge.sync.shipper import Shipper
from edge.sync.state import load_enrolment
from edge.web.server import Server

_LOG = logging.getLogger(__name__)
STEPS_AHEAD_MAX = 2
"""Of the restart's own window, where no policy is held yet."""
META_CENTRAL_URL = "app.central_url"
META_CENTRAL_AUTHORITY = "app.central_authority"
SHUTDOWN_S = 10.0


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
        pack = pack_to_serve(
            config.face_pack, config.face_pack_previous, self._store.references_held)
        if pack == PACK_ID:
            ensure_default_pack(config.packs_folder, progress)
        image_limits = ImageLimits(
            bytes_max=config.limits.image_bytes_max, pixels_max=config.limits.image_pixels_max
        )
        self._face = FaceEngine(config.packs_folder / pack, image_limits)
        self._zbar = ZbarChild()
        reader = FrameReader(self._zbar, image_limits, config.limits.code_budget_s)
        self._journal = FileJournal(
            config.data_dir / "journal", self._key.signing,
            JournalOptions(segment_bytes=config.journal.segment_bytes,
                           retire_age_s=config.journal.retire_days * 86_400),
        )
        self._guard = self._open_guard()
        self._client = CentralClient(url, token=enrolment.token, tls=self._central_tls(url))
        self._trust: Trust | None = None
        self._faces = FaceWatch(lambda: self._store.faces, self.note)
        self._clock = SystemClock(
            lambda: self._trust.central_clock_skew_s if self._trust else None
        )
        self._follower = Follower(
            central=self._client, store=self._store, seal_private=self._key.sealing,
            publish=self._publish, now=self._clock.now_s,
            options=FollowerOptions(wait_s=config.central.poll_s,
                                    epochs_back=config.keys.days_back,
                                    epochs_ahead=config.keys.days_ahead),
            identity=Identity(self._client, enrolment, self._key.signing, self._key.sealing),
        )
        self._shipper = Shipper(central=self._client, journal=self._journal)
        self.metrics = NodeMetrics(node_version())
        self._code_pool, self._face_pool = _pools(config)
        self.verifier = self._build_verifier(reader, image_limits)
        self._build_answering(reader)

    def _build_answering(self, reader: FrameReader) -> None:
        """Build what answers beside the verifier, and what reports."""
        self._decider = Decider(
            trust=self.trust, clock=self._clock, cache=self._store, guard=self._guard,
            journal=self._journal, observer=self, answers=self.verifier.answers,
            captures=self.verifier.open,
        )
        self._looker = Looker(reader=reader, face=self._face, code_pool=self._code_pool,
                              face_pool=self._face_pool)
        self._shift = ShiftLog()
        report = Report(
            trust=self.trust, clock=self._clock, store=self._store, journal=self._journal,
            guard=self._guard, follower=self._follower, shipper=self._shipper, face=self._face,
            pack_wanted=self.config.face_pack, code_pool=self._code_pool,
            face_pool=self._face_pool, verifier=self.verifier, zbar=self._zbar,
            started_s=self._started_s,
        )
        self.status = report.status
        self._reporter = Reporter(self._client, report.for_central)
        self.metrics.gauges(report.gauges())

    def _build_verifier(self, reader: FrameReader, image_limits: ImageLimits) -> Verifier:
        return Verifier(
            trust=self.trust, clock=self._clock, cache=self._store, guard=self._guard,
            journal=self._journal, reader=reader, face=self._face, code_pool=self._code_pool,
            face_pool=self._face_pool, observer=self, new_id=RandomIds(),
            monotonic=time.monotonic, image_limits=image_limits,
            answers_kept_s=self.config.journal.answers_kept_s,
        )

    def trust(self) -> Trust:
        """Give what the node trusts now."""
        assert self._trust is not None, "asked before the start"
        return self._trust

    def observed(self, record: VerificationRecord, timings_ms: Mapping[str, float]) -> None:
        """Count an answer and let its record be shipped."""
        self.metrics.observed(record, timings_ms)
        self._decider.open.offer(record)
        self._shift.add(record)
        self._shipper.wake()

    async def note(self, event: str, detail: dict[str, str | int | float]) -> None:
        """Journal something that happened to the node."""
        at_ms = int(self._clock.now_s() * 1000)
        await self._journal.append(EventRecord(at_ms=at_ms, event=event, detail=detail))
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
        self._reporter.start()
        await self.note("node.started", self._versions())

    async def stop(self) -> None:
        """Stop in reverse order; what is in flight has finished before."""
        with contextlib.suppress(OperatingError):
            await self.note("node.stopped", self._versions())
        await self._reporter.stop()
        await self._shipper.stop()
        await self._follower.stop()
        await self._client.close()
        self._code_pool.close()
        self._face_pool.close()
        self._zbar.close()
        self._journal.close()
        self._guard.close()
        self._store.close()

    def application(self, wire: Wire) -> web.Application:
        """Build the HTTP surface."""
        front = Front(
            self.config, self._key, wire, gates=lambda: self.trust().gates,
            policies=lambda: self.trust().policies, status=self.status, note=self.note,
        )
        server = Server(
            verifier=self.verifier, decider=self._decider, looker=self._looker,
            shift=self._shift.last, callers=front.callers, status=self.status,
            metrics=self.metrics, limits=self.config.limits, version=node_version(),
        )
        return server.application(front.pages, front.routes)

    def _publish(self, trust: Trust) -> None:
        self._trust = trust
        self._faces.look()

    def _warm(self) -> None:
        """Load and compile what the first call would otherwise wait for."""
        check_presentation("KH1:BB8", 0.0, KeyRing(), DriftWindow())
        self._face.warm()
        self._store.warm(self._face.pack_id, self._face.manifest.dimensions)
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
        kept_s = max(self.config.journal.answers_kept_s, DECISION_OPEN_S)
        first = self._journal.first_since(now - kept_s)
        for index, data in self._journal.recent(first):
            record = decode_record(data)
            if isinstance(record, VerificationRecord):
                self._decider.open.offer(record)
                self._shift.add(record)
                receipt = Receipt(self._journal.log, index, hash_leaf(data).hex())
                self.verifier.answers.restore(record, receipt, now - record.at_ms / 1e3)

    def _versions(self) -> dict[str, str | int | float]:
        return {"version": node_version(), "pack": self._face.pack_id,
                "reference_generation": self._store.generation}

    def _central_tls(self, url: str) -> ssl.SSLContext | None:
        """Whom to believe at the central platform: its own authority, or the system's roots."""
        if not url.startswith("https:"):
            return None
        path = self.config.central.authority
        try:
            pem = path.read_bytes() if path else self._store.meta(META_CENTRAL_AUTHORITY)
        except OSError as error:
            raise ConfigError(f"central.authority: {path}: {error.strerror}") from error
        return client_context(pem)


def _pools(config: EdgeConfig) -> tuple[WorkerPool, WorkerPool]:
    workers = config.workers
    return (
        WorkerPool("kanhe-code", workers.code_threads, workers.code_waiting_max),
        WorkerPool("kanhe-face", workers.face_threads, workers.face_waiting_max),
    )


async def run_node(
    config: EdgeConfig, ready: Callable[[str], None], stop: asyncio.Event, progress: Progress,
    *, insecure: bool = False,
) -> None:
    """Run a node until `stop` is set.

    Args:
        config: The node's.
        ready: Told the node's address once it answers.
        stop: Set to stop gracefully.
        progress: Hears of the face pack's making.
        insecure: Serve clear HTTP beyond loopback.

    Raises:
        OperatingError: It can't start.
    """
    wire = wire_of(config, insecure=insecure)
    node = Node(config, progress)
    await node.start()
    try:
        listening = bind(config.listen.host, config.listen.port, config.listen.port_tries)
        await serve(node.application(wire), listening, wire, ready=ready, stop=stop,
                    shutdown_s=SHUTDOWN_S)
    finally:
        await node.stop()
