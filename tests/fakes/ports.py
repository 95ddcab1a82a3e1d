"""Honest fakes of the ports a verifier needs beside store, guard and journal."""

from collections.abc import Mapping, Sequence

import numpy as np

from edge.errors import ImageError, JournalError
from edge.hotpath.holder import Probe, ProbeFault
from edge.hotpath.liveness import Pose
from edge.hotpath.qr.reading import CodeReading
from edge.hotpath.rates import Point
from edge.hotpath.reasons import Reason
from edge.protocol.journal import JournalRecord, Receipt, VerificationRecord

PACK = "fake-v1"
POINTS = (Point(fmr=0.001, threshold=0.9, fnmr=0.05),)


class FakeClock:
    def __init__(self, now: float) -> None:
        self.now = now
        self.state = "trusted"
        self.seen: list[tuple[bytes, int]] = []

    def now_s(self) -> float:
        return self.now

    def saw(self, credential_id: bytes, step: int) -> None:
        self.seen.append((credential_id, step))


class FakeReader:
    """Reads frames that are their own text: `texts` joined by line feeds."""

    def read(self, image: bytes) -> CodeReading:
        if image == b"not an image":
            raise ImageError("unsupported", "not an image")
        texts = tuple(image.decode().split("\n")) if image else ()
        return CodeReading(texts=texts, why="" if texts else "blurred", rung="fake")


class FakeFace:
    """Sees faces in pictures whose first pixel names them; see `picture_of`."""

    pack_id = PACK

    def __init__(self) -> None:
        self.checks: dict[str, bool] = {}
        self.track: tuple[Pose, ...] = ()

    def probe(self, images: Sequence[bytes]) -> Probe | ProbeFault:
        name = images[0][-1]
        if name == 0:
            return ProbeFault(Reason.FACE_ABSENT)
        if name == 1:
            return ProbeFault(Reason.FACE_MULTIPLE)
        if name == 2:
            return ProbeFault(Reason.FACE_QUALITY_LOW, "yaw")
        return Probe(pack=PACK, template=template_of(name), quality=1.0, components={},
                     checks=self.checks, track=self.track)


def template_of(name: int) -> np.ndarray:
    return np.random.default_rng(name).integers(-127, 128, 128).astype(np.int8)


class BrokenJournal:
    """Refuses until it is mended."""

    def __init__(self, journal) -> None:
        self.journal, self.broken = journal, True

    def check(self) -> None:
        """Says nothing beforehand: the next write is what fails."""

    async def append(self, record: JournalRecord) -> Receipt:
        if self.broken:
            raise JournalError("disk full")
        return await self.journal.append(record)

    def append_all(self, records, settled) -> None:
        if self.broken:
            raise JournalError("disk full")
        self.journal.append_all(records, settled)


class Seen:
    """Remembers what was observed."""

    def __init__(self) -> None:
        self.records: list[VerificationRecord] = []

    def observed(self, record: VerificationRecord, timings_ms: Mapping[str, float]) -> None:
        self.records.append(record)

    def observed_all(
        self, records: Sequence[VerificationRecord], timings_ms: Mapping[str, float]
    ) -> None:
        self.records.extend(records)
