"""The face engine: an encoded capture becomes a probe, a photograph a reference.

- Built from a pack's manifest; the forms of models known are the tables here.
- Blocking and thread-safe; captures live only as long as the call.
- Not here: comparison and verdict (edge.hotpath.holder).
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from edge.errors import PackError
from edge.hotpath.holder import Probe, ProbeFault
from edge.imaging import DEFAULT_LIMITS, ImageLimits
from edge.models.burst import BurstRules, fuse_views, to_template
from edge.models.detection import Face
from edge.models.embedder import DlibEmbedder
from edge.models.landmarks import Landmarks
from edge.models.manifest import PackFile, PackManifest, load_manifest, verify_files
from edge.models.mmod import MmodDetector
from edge.models.quality import CAPTURE_FLOORS, ENROLMENT_FLOORS, Floors
from edge.models.sessions import has_vnni
from edge.models.view import TIMINGS, FrameView, Parts, view_frame

SEARCH_SIDES = (640, 1_280)
"""Long sides searched, the next only where the one before shows nobody."""
SAME_PERSON_MIN = 0.90
"""Frames of one burst whose features are further apart aren't of one person."""


class ReferenceDraft(msgspec.Struct, frozen=True):
    """What enrolment stores: an int8 template, its quality and components (0 to 1)."""

    template: bytes
    quality: float
    components: dict[str, float]


class FaceEngine:
    """One loaded pack."""

    def __init__(
        self, folder: Path, limits: ImageLimits = DEFAULT_LIMITS, *, threads: int = 1
    ) -> None:
        """Load and check a pack.

        Raises:
            PackError: It is damaged or has a form not known here.
        """
        self.manifest: PackManifest = load_manifest(folder)
        verify_files(folder, self.manifest)
        self._limits = limits
        self.embedder_file = self._file("embedder", "dlib-150").name
        self._parts = Parts(
            detector=MmodDetector(folder / self._file("detector", "mmod").name, threads),
            landmarks=Landmarks(folder / self._file("landmarks", "dlib-5").name),
            embedder=DlibEmbedder(folder / self.embedder_file, threads),
            pad=None, search_sides=SEARCH_SIDES,
        )
        self._rules = BurstRules(pack=self.manifest.id, same_person_min=SAME_PERSON_MIN)

    @property
    def pack_id(self) -> str:
        """Id of the pack, as references name it."""
        return self.manifest.id

    def threshold(self, fmr: float) -> tuple[float, float] | None:
        """Give (threshold, the operating point's own FMR ≤ fmr), None if the pack is unfit."""
        point = self.manifest.operating_point(fmr)
        return (point.threshold, point.fmr) if point else None

    def strictest(self) -> tuple[float, float]:
        """Give (threshold, FMR) of the strictest operating point."""
        point = min(self.manifest.operating_points, key=lambda item: item.fmr)
        return point.threshold, point.fmr

    def warm(self) -> None:
        """Run every model once, so that the first capture finds them ready."""
        grey = np.full((360, 640, 3), 128, np.uint8)
        parts = self._parts
        parts.detector.detect(grey, parts.search_sides[0])
        if parts.landmarks:
            parts.landmarks.predict(grey, Face(0.0, 0.0, 99.0, 99.0, 1.0))
        parts.embedder.embed(np.zeros((parts.embedder.side, parts.embedder.side, 3), np.uint8))

    def views(
        self, images: Sequence[bytes], floors: Floors | None = CAPTURE_FLOORS
    ) -> list[FrameView | ProbeFault]:
        """Look at each frame of a burst.

        Args:
            images: Encoded frames.
            floors: Quality floors; None = a poor face (one turned away by a challenge) is
                viewed all the same.

        Raises:
            ImageError: Not an image we read, damaged, or beyond the bounds.
        """
        return self._look(images, floors)[0]

    def probe(self, images: Sequence[bytes]) -> Probe | ProbeFault:
        """Judge one capture, a burst of encoded frames of one person.

        Returns:
            A probe fused by quality, or why there is none. Of a burst, frames without a
            usable face are passed over as long as one is usable.

        Raises:
            ImageError: Not an image we read, damaged, or beyond the bounds.
        """
        views, timings = self._look(images, CAPTURE_FLOORS)
        return fuse_views(views, self._rules, timings)

    def make_reference_template(self, image: bytes) -> ReferenceDraft | ProbeFault:
        """Judge an enrolment photograph by the stricter floors.

        Raises:
            ImageError: Not an image we read, damaged, or beyond the bounds.
        """
        (view,), _ = self._look([image], ENROLMENT_FLOORS)
        if isinstance(view, ProbeFault):
            return view
        return ReferenceDraft(
            to_template(view.features).tobytes(), view.quality, view.components
        )

    def _look(
        self, images: Sequence[bytes], floors: Floors | None
    ) -> tuple[list[FrameView | ProbeFault], dict[str, float]]:
        timings = dict.fromkeys(TIMINGS, 0.0)
        views = [view_frame(image, self._limits, self._parts, floors, timings)
                 for image in images]
        return views, timings

    def _file(self, role: str, form: str) -> PackFile:
        """Choose the file of a role whose need this processor meets."""
        for file in self.manifest.files:
            if file.role == role and (file.needs != "vnni" or has_vnni()):
                if file.form != form:
                    raise PackError(f"pack {self.manifest.id}: {file.name} is of form "
                                    f"{file.form!r}, which isn't known for a {role}")
                return file
        raise PackError(f"pack {self.manifest.id} has no {role} for this processor")

