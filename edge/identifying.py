"""The node's gallery in step with its store, and what answers from it.

- Taken up at the start: believed if it is of the store's present state, else filled anew from the
  store, which is the truth. From then on it hears of every change.
- Whatever is slow (filling, a new mean) runs on a thread of its own, never on the event loop.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np

from edge.cache.gallery.gallery import Gallery
from edge.cache.guard import read_boot_id
from edge.cache.sealing import Derive
from edge.cache.store import LmdbStore
from edge.hotpath.holder import IDENTIFICATION
from edge.hotpath.trust import Trust
from edge.imaging import ImageLimits
from edge.models.engine import FaceEngine
from edge.pipeline.answers import RecentAnswers
from edge.pipeline.identify import Identifier
from edge.pipeline.ports import Clock, Journal, Observer, ReplayGuard
from edge.pipeline.thresholds import SceneRates
from edge.pipeline.workers import WorkerPool
from edge.protocol.records import ScenePolicy

_LOG = logging.getLogger(__name__)
GALLERY_FILE = "gallery"


class NodeGallery:
    """The gallery of the pack in use, filled from the store."""

    def __init__(self, folder: Path, derive: Derive, store: LmdbStore, face: FaceEngine) -> None:
        """Open it and begin to listen.

        Raises:
            StoreError: It can't be opened.
        """
        self._store, self._face = store, face
        self.gallery = Gallery(folder / GALLERY_FILE, face.pack_id, face.manifest.dimensions,
                               derive, boot_id=read_boot_id())
        store.add_sink(self.gallery, IDENTIFICATION)
        self._settling: asyncio.Future[None] | None = None

    def take_up(self) -> None:
        """Fill it from the store unless it is of the store's present state. Blocking.

        Raises:
            StoreError: The store can't be read.
        """
        start, mark = time.monotonic(), self._mark(self._store.cursor())
        if not self.gallery.is_of(mark):
            self.gallery.refill((
                (holder_id, np.frombuffer(record.template, np.int8)) for holder_id, record
                in self._store.references(self._face.pack_id, IDENTIFICATION)), mark)
            _LOG.info("gallery.filled", extra={
                "references": len(self.gallery), "took_s": round(time.monotonic() - start, 2)})
        self.gallery.warm()

    def settle(self, cursor: int) -> None:
        """Know that every change before `cursor` is in. On the event loop."""
        self._settling = asyncio.get_running_loop().run_in_executor(
            None, self.gallery.settle, self._mark(cursor))

    async def close(self) -> None:
        """Finish what was begun, and close."""
        if self._settling is not None:
            await self._settling
        self.gallery.close()

    def identifier(
        self, *, trust: Callable[[], Trust], clock: Clock, guard: ReplayGuard, journal: Journal,
        face_pool: WorkerPool, observer: Observer, new_id: Callable[[], str],
        image_limits: ImageLimits, answers: RecentAnswers, rates: SceneRates,
    ) -> Identifier:
        """Build what answers from it."""
        def point(policy: ScenePolicy, fmr: float) -> tuple[float, float] | None:
            """Give what serves the scene at the FMR that a gallery of this size needs."""
            found = rates.fitness(msgspec.structs.replace(policy, fmr_max=fmr)).point
            return (found.threshold, found.fmr) if found else None

        return Identifier(
            trust=trust, clock=clock, cache=self._store, guard=guard, journal=journal,
            face=self._face, gallery=self.gallery, point=point, face_pool=face_pool,
            observer=observer, new_id=new_id, image_limits=image_limits, answers=answers,
        )

    def _mark(self, cursor: int) -> bytes:
        return f"{cursor}/{self._store.generation}/{self._store.aside}".encode()
