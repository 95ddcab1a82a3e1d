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
from collections.abc import Mapping, Sequence

from aiohttp import web

from edge.access.listening import Connections, Wire
from edge.capture.reader import FrameReader
from edge.capture.zbar_child import ZbarChild
from edge.clock import SystemClock
from edge.config import EdgeConfig
from edge.crew.crew import Crew, open_crew
from edge.errors import JournalFull, OperatingError
from edge.faces import FaceWatch
from edge.front import Front
from edge.holding import settle_mode
from edge.hotpath.presentation import warm_codes
from edge.hotpath.trust import Trust
from edge.identifying import NodeGallery
from edge.imaging import ImageLimits
from edge.metrics import NodeMetrics
from edge.models.convert import Progress
from edge.parts import (
    image_limits_of,
    open_asking,
    open_builder,
    open_central,
    open_face,
    open_guard,
    open_journal,
    open_store,
    open_tracing,
    recent_answers,
)
from edge.pipeline.decisions import DECISION_OPEN_S, Decider
from edge.pipeline.ids import RandomIds
from edge.pipeline.looks import Looker
from edge.pipeline.shift import ShiftLog
from edge.pipeline.verify import Verifier
from edge.pipeline.workers import open_pools
from edge.protocol.journal import EventRecord, VerificationRecord
from edge.rates import NodeRates
from edge.readings import readings
from edge.report import Report, node_version
from edge.sharing import open_site
from edge.sync.follower import Follower
from edge.sync.options import FollowerOptions
from edge.sync.reporter import Reporter
from edge.sync.shipper import Shipper
from edge.trend import Trend
from edge.vigil import Vigil
from edge.watching import Watching
from edge.web.server import Server
from edge.web.status import KeptStatus

_LOG = logging.getLogger(__name__)
Surface = tuple[web.Application, Connections, Crew | None]


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
        settle_mode(config, self._store)
        self._client, identity = open_central(config, self._store, self._key)
        image_limits = image_limits_of(config)
        self._pack_folder, self._face = open_face(config, self._store, progress)
        self._zbar = ZbarChild()
        reader = FrameReader(self._zbar, image_limits, config.limits.code_budget_s)
        self._journal = open_journal(config, self._key)
        self._clock = SystemClock(folder=config.data_dir)
        self._guard = open_guard(config, self._key, self._store, self._journal, self._clock)
        self._trust: Trust | None = None
        self._crew: Crew | None = None
        self._faces = FaceWatch(lambda: self._store.faces, self.note)
        self._follower = Follower(
            central=self._client, store=self._store, seal_private=self._key.sealing,
            publish=self._publish, now=self._clock.now_s,
            may_forget=lambda: self._clock.state != "untrusted",
            options=FollowerOptions(wait_s=config.central.poll_s,
                                    epochs_back=config.keys.days_back,
                                    epochs_ahead=config.keys.days_ahead),
            builder=open_builder(config, self._key, self._store),
            identity=identity,
        )
        self._site = open_site(config, self._clock, self._guard, self._follower, self.trust)
        self._vigil = Vigil(clock=self._clock, trust=self.trust, note=self.note,
                            days_ahead=config.keys.days_ahead)
        self._shipper = Shipper(central=self._client, journal=self._journal)
        self.metrics = NodeMetrics(
            node_version(), lambda: self._trust.policies if self._trust else ())
        self.verifier = self._build_verifier(reader, image_limits)
        self._build_answering(reader, image_limits)

    def _build_answering(self, reader: FrameReader, image_limits: ImageLimits) -> None:
        """Build what answers beside the verifier, and what reports."""
        self._decider = Decider(
            trust=self.trust, clock=self._clock, cache=self._store, journal=self._journal,
            observer=self, answers=self.verifier.answers, captures=self.verifier.open)
        self._gallery = NodeGallery(self.config.data_dir, self._key.derive, self._store,
                                    self._face)
        self._identifier = self._gallery.identifier(
            trust=self.trust, clock=self._clock, guard=self._guard, journal=self._journal,
            face_pool=self._face_pool, observer=self, new_id=RandomIds(),
            image_limits=image_limits, answers=self.verifier.answers, rates=self._rates.scenes,
        )
        self._looker = Looker(reader=reader, face=self._face, code_pool=self._code_pool,
                              face_pool=self._face_pool)
        self._shift = ShiftLog()
        report = Report(
            version=node_version(), trust=self.trust, clock=self._clock, vigil=self._vigil,
            store=self._store, crew=lambda: self._crew, gallery=self._gallery.gallery,
            journal=self._journal, guard=self._guard, follower=self._follower,
            shipper=self._shipper, face=self._face, pack_wanted=self.config.face_pack,
            rates=self._rates, code_pool=self._code_pool,
            face_pool=self._face_pool, verifier=self.verifier, zbar=self._zbar, site=self._site,
            started_s=self._started_s, folder=self.config.data_dir, holding=self._asking.holding,
        )
        self.status = report.status
        self._reporter = Reporter(self._client, report.for_central)
        self.metrics.gauges(readings(report))
        self._trend = Trend(self.metrics.tally, report.moment)
        self._watching = Watching(
            self.note, self.metrics.signal, self._trend.sample,
            open_tracing(self.config.tracing, node_version(), self._journal.log))

    def _build_verifier(self, reader: FrameReader, image_limits: ImageLimits) -> Verifier:
        self._asking = open_asking(
            self.config, self._client, self._follower, self._store, self._clock, self.trust,
            self.metrics, self.note)
        self._code_pool, self._face_pool = open_pools(self.config.workers)
        self._rates = NodeRates(
            self._pack_folder, self._face.manifest, self._key.sign_public, self._store,
            policies=lambda: self.trust().policies, note=self.note, now=time.time,
            searched=lambda: len(self._gallery.gallery))
        return Verifier(
            trust=self.trust, clock=self._clock, cache=self._store, guard=self._guard,
            journal=self._journal, reader=reader, face=self._face,
            rates=self._rates.scenes, code_pool=self._code_pool, face_pool=self._face_pool,
            observer=self, new_id=RandomIds(), monotonic=time.monotonic, image_limits=image_limits,
            answers_kept_s=self.config.journal.answers_kept_s, demand=self._asking.demand,
        )

    def trust(self) -> Trust:
        """Give what the node trusts now."""
        assert self._trust is not None, "asked before the start"
        return self._trust

    def observed(self, record: VerificationRecord, timings_ms: Mapping[str, float]) -> None:
        """Count an answer and let its record be shipped."""
        self.observed_all((record,), timings_ms)

    def observed_all(
        self, records: Sequence[VerificationRecord], timings_ms: Mapping[str, float]
    ) -> None:
        """Count answers and let their records be shipped."""
        self.metrics.observed_all(records, timings_ms)
        for record in records:
            self._decider.open.offer(record)
            self._shift.add(record)
            self._watching.saw(record, timings_ms)
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
        await loop.run_in_executor(None, self._gallery.take_up)
        await self._follower.start()
        await self._asking.holding.start()
        await loop.run_in_executor(None, self._warm)
        self._restore_answers()
        if self._site is not None:
            self.verifier.answers.shared = self._site.answers
            if self._asking.lookups is not None:
                self._asking.lookups.shared = self._site.lookups
            self._site.start()
        await self._shipper.start()
        self._reporter.start()
        self._rates.start()
        self._watching.start()
        self._vigil.start()
        with contextlib.suppress(JournalFull):  # it says so, and answers once there is room
            await self.note("node.started", self._versions())

    async def stop(self) -> None:
        """Stop in reverse order; what is in flight has finished before."""
        await self._vigil.stop()
        await self._watching.stop()
        with contextlib.suppress(OperatingError):
            await self.note("node.stopped", self._versions())
        await self._rates.stop()
        await self._reporter.stop()
        await self._shipper.stop()
        await self._asking.stop()
        await self._follower.stop()
        if self._site is not None:
            await self._site.stop()
        await self._client.close()
        self._code_pool.close()
        self._face_pool.close()
        await self._gallery.close()
        self._zbar.close()
        self._journal.close()
        self._guard.close()
        self._store.close()

    def surface(self, wire: Wire, *, insecure: bool) -> Surface:
        """Build the HTTP surface, what makes its connections, and the processes beside."""
        status = KeptStatus(self.status)
        front = Front(
            self.config, self._key, wire, gates=lambda: self.trust().gates,
            policies=lambda: self.trust().policies, status=status.now,
            trend=self._trend.view, note=self.note,
        )
        server = Server(
            verifier=self.verifier, decider=self._decider, looker=self._looker,
            shift=self._shift.last, callers=front.callers, status=status,
            metrics=self.metrics, limits=self.config.limits, version=node_version(),
            identifier=self._identifier, expects=self._asking.arrivals,
            arrivals_max=self.config.holding.arrivals_max,
        )
        if self.config.workers.processes > 1:
            self._crew = open_crew(
                self.config, verifier=self.verifier, guard=self._guard, journal=self._journal,
                observer=self, server=server, clock=self._clock, store=self._store,
                trust=self.trust, problem=self.metrics.problem, refused=self.metrics.refused,
                insecure=insecure)
        app = self._watching.follow(server.application(front.pages, front.routes))
        return app, server.connections(), self._crew

    def _publish(self, trust: Trust) -> None:
        before, self._trust = self._trust, trust
        if before is None or before.central_clock_as_of_s != trust.central_clock_as_of_s:
            self._clock.heard_central(trust.central_clock_skew_s)
        if self._crew is not None:
            self._crew.publish(trust)
        if before is not None and self._site is not None and before.cursor != trust.cursor:
            self._site.wakes.tell()
        self._faces.look()
        self._gallery.settle(trust.cursor)

    def _warm(self) -> None:
        """Load and compile what the first call would otherwise wait for."""
        warm_codes()
        self._face.warm()
        self._rates.warm()
        self._store.warm(self._face.pack_id, self._face.manifest.dimensions)
        self._zbar.warm()

    def _restore_answers(self) -> None:
        """Take up the answers of the last minutes from the journal."""
        now = self._clock.now_s()
        kept_s = max(self.config.journal.answers_kept_s, DECISION_OPEN_S)
        for record, receipt in recent_answers(self._journal, now - kept_s):
            self._decider.open.offer(record)
            self._shift.add(record)
            self.verifier.answers.restore(record, receipt, now - record.at_ms / 1e3)

    def _versions(self) -> dict[str, str | int | float]:
        return {"version": node_version(), "pack": self._face.pack_id,
                "reference_generation": self._store.generation}
